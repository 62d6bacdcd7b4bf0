-- The bookkeeping as the release before version 2 made it. It is frozen: what upgrades it must go on doing so.
CREATE SCHEMA projectionist;
CREATE TABLE projectionist.version (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  version integer NOT NULL);
CREATE TABLE projectionist.projections (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  uid text COLLATE "C" NOT NULL,
  active_revision text COLLATE "C",
  sequence bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (cluster, namespace, name));
CREATE TABLE projectionist.revisions (
  projection bigint NOT NULL REFERENCES projectionist.projections (id),
  revision text COLLATE "C" NOT NULL,
  data_hash text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('following')),
  partitions jsonb NOT NULL DEFAULT '{}',
  contract jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, revision));
CREATE TABLE projectionist.positions (
  projection bigint NOT NULL,
  revision text COLLATE "C" NOT NULL,
  topic text COLLATE "C" NOT NULL,
  partition integer NOT NULL CHECK (partition >= 0),
  next_position text COLLATE "C" NOT NULL CHECK (next_position ~ '^(0|[1-9][0-9]*)$'),
  epoch bigint NOT NULL DEFAULT 0,
  token text COLLATE "C" NOT NULL DEFAULT '',
  owner text COLLATE "C" NOT NULL DEFAULT '',
  held_version bigint NOT NULL DEFAULT 0,
  topic_id text COLLATE "C" NOT NULL DEFAULT '',
  leader_epoch integer NOT NULL DEFAULT -1,
  event_time timestamptz,
  claimed_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, revision, topic, partition),
  FOREIGN KEY (projection, revision) REFERENCES projectionist.revisions (projection, revision))
  WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE projectionist.relations (
  schema text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('table', 'view')),
  model text COLLATE "C" NOT NULL,
  projection bigint NOT NULL REFERENCES projectionist.projections (id),
  revision text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (schema, name),
  FOREIGN KEY (projection, revision) REFERENCES projectionist.revisions (projection, revision));
CREATE TABLE projectionist.barriers (
  projection bigint NOT NULL REFERENCES projectionist.projections (id),
  topic text COLLATE "C" NOT NULL,
  topic_id text COLLATE "C" NOT NULL DEFAULT '',
  before_count integer NOT NULL CHECK (before_count >= 0),
  after_count integer NOT NULL CHECK (after_count > before_count),
  ends text[] COLLATE "C" NOT NULL CHECK (cardinality(ends) = before_count),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, topic, topic_id, before_count));
INSERT INTO projectionist.version (version) VALUES (1);
