-- table
CREATE TABLE "shop"."Order ""x""__0123456789" (
  "id" text COLLATE "C" NOT NULL,
  "day" date NOT NULL,
  "status" text COLLATE "C" DEFAULT 'it''s'::text,
  "n" integer DEFAULT '10'::integer,
  "total" numeric(12,2),
  "best" text COLLATE "C",
  "log" text[] COLLATE "C" DEFAULT '{"made"}'::text[],
  "info" jsonb,
  CONSTRAINT "Order ""x""__0123456789_e15c66f08a287807e45ca2a2_key" PRIMARY KEY ("id", "day"),
  CONSTRAINT "Order ""x""__0123456789_44746e3f1f365552946f6e43_size" CHECK (pg_catalog.cardinality("log") <= 10000)
) WITH (fillfactor = 85)

-- index
CREATE INDEX "Order ""x""__0123456789_cd1e7f097f74c90f27b50779_idx" ON "shop"."Order ""x""__0123456789" ("status", "n")

-- view
CREATE OR REPLACE VIEW "shop"."Order ""x""" AS SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info" FROM "shop"."Order ""x""__0123456789" t

-- lock
SELECT pg_catalog.count(*) FROM (SELECT 1 FROM "shop"."Order ""x""__0123456789" t JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) ON t."id" = u.c0 AND t."day" = u.c1 ORDER BY t."id", t."day" FOR UPDATE OF t) l

-- load
SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info" FROM "shop"."Order ""x""__0123456789" t JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) ON t."id" = u.c0 AND t."day" = u.c1 ORDER BY t."id", t."day" FOR UPDATE OF t

-- write back
UPDATE "shop"."Order ""x""__0123456789" t SET "status" = u.c2, "n" = u.c3, "total" = u.c4, "best" = u.c5, "log" = u.c6::text[], "info" = u.c7 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::numeric[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::jsonb[])) AS u(c0, c1, c2, c3, c4, c5, c6, c7) WHERE t."id" = u.c0 AND t."day" = u.c1

-- create
WITH w AS (INSERT INTO "shop"."Order ""x""__0123456789" AS t ("id", "day", "status", "n", "total", "best", "log", "info") SELECT u.c0, u.c1, u.c2, u.c3, u.c4, u.c5, u.c6::text[], u.c7 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::numeric[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::jsonb[])) AS u(c0, c1, c2, c3, c4, c5, c6, c7) ON CONFLICT ("id", "day") DO NOTHING RETURNING 1) SELECT 1 / ((SELECT pg_catalog.count(*) FROM w) = $9::bigint)::int

-- delete
DELETE FROM "shop"."Order ""x""__0123456789" t USING ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) WHERE t."id" = u.c0 AND t."day" = u.c1

-- update
UPDATE "shop"."Order ""x""__0123456789" t SET "status" = u.c2, "n" = coalesce(t."n", 0) + u.c3, "best" = greatest(t."best", u.c5 COLLATE "C"), "log" = coalesce(t."log", '{}') || u.c6::text[] FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[])) AS u(c0, c1, c2, c3, c5, c6) WHERE t."id" = u.c0 AND t."day" = u.c1

-- replace
INSERT INTO "shop"."Order ""x""__0123456789" AS t ("id", "day", "status", "n", "total", "best", "log", "info") SELECT u.c0, u.c1, u.c2, u.c3, u.c4, u.c5, u.c6::text[], u.c7 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::numeric[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::jsonb[])) AS u(c0, c1, c2, c3, c4, c5, c6, c7) ON CONFLICT ("id", "day") DO UPDATE SET "status" = EXCLUDED."status", "n" = EXCLUDED."n", "total" = EXCLUDED."total", "best" = EXCLUDED."best", "log" = EXCLUDED."log", "info" = EXCLUDED."info"

-- upsert
INSERT INTO "shop"."Order ""x""__0123456789" AS t ("id", "day", "status", "n", "best", "log") SELECT u.c0, u.c1, u.c2, u.c3, u.c5, u.c6::text[] FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[])) AS u(c0, c1, c2, c3, c5, c6) ON CONFLICT ("id", "day") DO UPDATE SET "status" = EXCLUDED."status", "n" = coalesce(t."n", 0) + (EXCLUDED."n" - '10'::integer), "best" = greatest(t."best", EXCLUDED."best" COLLATE "C"), "log" = coalesce(t."log", '{}') || EXCLUDED."log"[2:]

-- upsert that touches nothing
INSERT INTO "shop"."Order ""x""__0123456789" AS t ("id", "day", "status", "n", "log") SELECT u.c0, u.c1, 'it''s'::text, '10'::integer, '{"made"}'::text[] FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) ON CONFLICT ("id", "day") DO NOTHING

-- lock positions
SELECT pg_catalog.count(*) FROM (SELECT 1 FROM "projectionist"."positions" p
JOIN ROWS FROM (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int[])) AS a(topic, partition) ON p.projection = $1 AND p.revision = $2 AND p.topic = a.topic AND p.partition = a.partition
ORDER BY p.topic, p.partition FOR UPDATE OF p) l

-- fence
WITH f AS (UPDATE "projectionist"."positions" p SET next_position = a.next, epoch = a.epoch, token = a.token,
  event_time = greatest(p.event_time, a.event_time),
  leader_epoch = CASE WHEN a.leader_epoch >= 0 THEN a.leader_epoch ELSE p.leader_epoch END,
  topic_id = CASE WHEN p.topic_id = '' THEN a.topic_id ELSE p.topic_id END, updated_at = pg_catalog.clock_timestamp()
FROM ROWS FROM (pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::int[]), pg_catalog.unnest($6::bigint[]), pg_catalog.unnest($7::text[]),
  pg_catalog.unnest($8::text[]), pg_catalog.unnest($9::bigint[]), pg_catalog.unnest($10::text[]), pg_catalog.unnest($11::timestamptz[]),
  pg_catalog.unnest($12::int[]), pg_catalog.unnest($13::text[]))
  AS a(topic, partition, epoch, token, expected, held_version, next, event_time, leader_epoch, topic_id)
WHERE p.projection = $1 AND p.revision = $2 AND p.topic = a.topic AND p.partition = a.partition AND p.epoch = a.epoch AND p.token = a.token AND p.next_position = a.expected AND p.held_version = a.held_version RETURNING 1)
SELECT 1 / ((SELECT pg_catalog.count(*) FROM f) = $3::bigint)::int

