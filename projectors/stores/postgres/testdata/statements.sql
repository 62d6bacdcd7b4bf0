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
CREATE OR REPLACE VIEW "shop"."Order ""x""" AS SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info", j0."currency", j0."amount" AS "price", j1."status" AS "best's" FROM "shop"."Order ""x""__0123456789" t LEFT JOIN "shop"."price__0123456789" j0 ON j0."sku" = t."status" AND NOT j0."_deleted" LEFT JOIN "shop"."Order ""x""__0123456789" j1 ON j1."id" = t."best" AND j1."day" = t."day"

-- table
CREATE TABLE "shop"."price__0123456789" (
  "sku" text COLLATE "C" NOT NULL,
  "version" bigint,
  "amount" numeric(12,2),
  "currency" text COLLATE "C" NOT NULL DEFAULT 'EUR'::text,
  "score" integer,
  "first" time,
  "last" text COLLATE "C",
  "recent" bigint[],
  "seen" text[] COLLATE "C",
  "address" inet DEFAULT '::1'::inet,
  "code" varchar(3),
  "_deleted" boolean NOT NULL DEFAULT 'false'::boolean,
  CONSTRAINT "price__0123456789_68ea2eba537e5104246009e8_key" PRIMARY KEY ("sku"),
  CONSTRAINT "price__0123456789_17b2875e2d4eeea3bb2761be_range" CHECK ("score" >= '-5'::integer AND "score" <= '100'::integer),
  CONSTRAINT "price__0123456789_186a92d0af7e4cc8bb362d37_notnull" CHECK ("amount" IS NOT NULL OR "_deleted"),
  CONSTRAINT "price__0123456789_66e9af703f71b83fc6acdf00_size" CHECK (pg_catalog.cardinality("seen") <= 10000),
  CONSTRAINT "price__0123456789_e6a85d752730387e374e7a74_enum" CHECK ("currency" IN ('EUR', 'it''s')),
  CONSTRAINT "price__0123456789_f691a7e934f16d964b300f76_range" CHECK ("amount" >= '0.00'::numeric)
) WITH (fillfactor = 85)

-- index
ALTER TABLE "shop"."price__0123456789" ADD CONSTRAINT "price__0123456789_2988502fc891b2ff8fcea767_unique" UNIQUE ("last", "currency") DEFERRABLE INITIALLY DEFERRED

-- index
CREATE INDEX "price__0123456789_25fad8a5efc3e2cbfe276989_hash" ON "shop"."price__0123456789" USING hash ("last")

-- index
CREATE INDEX "price__0123456789_f064c94e9b8e9129cf39525d_gin" ON "shop"."price__0123456789" USING gin ("recent")

-- index
CREATE INDEX "price__0123456789_e8f8ea1e7f284da64de23026_gist" ON "shop"."price__0123456789" USING gist ("address")

-- index
CREATE INDEX "price__0123456789_fa4dc88c47c95055aefc3378_brin" ON "shop"."price__0123456789" USING brin ("first")

-- view
CREATE OR REPLACE VIEW "shop"."price" AS SELECT t."sku", t."version", t."amount", t."currency", t."score", t."first", t."last", t."recent", t."seen", t."address", t."code" FROM "shop"."price__0123456789" t WHERE NOT t."_deleted"

-- lock
SELECT pg_catalog.count(*) FROM (SELECT 1 FROM "shop"."Order ""x""__0123456789" t JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) ON t."id" = u.c0 AND t."day" = u.c1 ORDER BY t."id", t."day" FOR UPDATE OF t) l

-- load
SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info" FROM "shop"."Order ""x""__0123456789" t JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[])) AS u(c0, c1) ON t."id" = u.c0 AND t."day" = u.c1 ORDER BY t."id", t."day" FOR UPDATE OF t

-- load, native
SELECT t."sku", t."version", t."amount", t."currency", t."score", t."first", t."last", t."recent", t."seen", CASE WHEN t."address" IS NOT NULL THEN pg_catalog.format('%s', t."address")::text END, CASE WHEN t."code" IS NOT NULL THEN pg_catalog.format('%s', t."code")::text END, t."_deleted" FROM "shop"."price__0123456789" t JOIN ROWS FROM (pg_catalog.unnest($1::text[])) AS u(c0) ON t."sku" = u.c0 ORDER BY t."sku" FOR UPDATE OF t

-- match
SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info" FROM "shop"."Order ""x""__0123456789" t WHERE t."status" = $1::text AND t."log" = ($2::text)::text[] ORDER BY t."id", t."day" LIMIT $3::bigint FOR UPDATE OF t

-- match, after a key
SELECT t."id", t."day", t."status", t."n", t."total", t."best", t."log", t."info" FROM "shop"."Order ""x""__0123456789" t WHERE t."status" = $1::text AND (t."id", t."day") > ($2::text, $3::date) ORDER BY t."id", t."day" LIMIT $4::bigint FOR UPDATE OF t

-- match, native
SELECT t."sku", t."version", t."amount", t."currency", t."score", t."first", t."last", t."recent", t."seen", CASE WHEN t."address" IS NOT NULL THEN pg_catalog.format('%s', t."address")::text END, CASE WHEN t."code" IS NOT NULL THEN pg_catalog.format('%s', t."code")::text END, t."_deleted" FROM "shop"."price__0123456789" t WHERE CASE WHEN t."address" IS NOT NULL THEN pg_catalog.format('%s', t."address")::text END = $1::text AND (t."sku") > ($2::text) ORDER BY t."sku" LIMIT $3::bigint FOR UPDATE OF t

-- write back
UPDATE "shop"."Order ""x""__0123456789" t SET "status" = u.c2, "n" = u.c3, "total" = u.c4, "best" = u.c5, "log" = u.c6::text[], "info" = u.c7 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::numeric[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::jsonb[])) AS u(c0, c1, c2, c3, c4, c5, c6, c7) WHERE t."id" = u.c0 AND t."day" = u.c1

-- create
WITH w AS (INSERT INTO "shop"."Order ""x""__0123456789" AS t ("id", "day", "status", "n", "total", "best", "log", "info") SELECT u.c0, u.c1, u.c2, u.c3, u.c4, u.c5, u.c6::text[], u.c7 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::date[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::integer[]), pg_catalog.unnest($5::numeric[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::jsonb[])) AS u(c0, c1, c2, c3, c4, c5, c6, c7) ON CONFLICT ("id", "day") DO NOTHING RETURNING 1) SELECT 1 / ((SELECT pg_catalog.count(*) FROM w) = $9::bigint)::int

-- update, more touches
UPDATE "shop"."price__0123456789" t SET "score" = coalesce(t."score", 0) + u.c4, "first" = least(t."first", u.c5), "last" = least(t."last", u.c6 COLLATE "C"), "recent" = (coalesce(t."recent", '{}') || u.c7::bigint[])[greatest(coalesce(pg_catalog.cardinality(t."recent"), 0) + pg_catalog.cardinality(u.c7::bigint[]) - 3, 0) + 1:], "seen" = coalesce(t."seen", '{}') || u.c8::text[], "address" = u.c9::inet, "code" = coalesce(t."code", u.c10::varchar) FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::integer[]), pg_catalog.unnest($3::time[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::text[])) AS u(c0, c4, c5, c6, c7, c8, c9, c10) WHERE t."sku" = u.c0

-- upsert, more touches
INSERT INTO "shop"."price__0123456789" AS t ("sku", "score", "first", "last", "recent", "seen", "address", "code", "currency", "_deleted") SELECT u.c0, u.c4, u.c5, u.c6, u.c7::bigint[], u.c8::text[], u.c9::inet, u.c10::varchar, 'EUR'::text, 'false'::boolean FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::integer[]), pg_catalog.unnest($3::time[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::text[]), pg_catalog.unnest($8::text[])) AS u(c0, c4, c5, c6, c7, c8, c9, c10) ON CONFLICT ("sku") DO UPDATE SET "score" = coalesce(t."score", 0) + EXCLUDED."score", "first" = least(t."first", EXCLUDED."first"), "last" = least(t."last", EXCLUDED."last" COLLATE "C"), "recent" = (coalesce(t."recent", '{}') || EXCLUDED."recent")[greatest(coalesce(pg_catalog.cardinality(t."recent"), 0) + pg_catalog.cardinality(EXCLUDED."recent") - 3, 0) + 1:], "seen" = coalesce(t."seen", '{}') || EXCLUDED."seen", "address" = EXCLUDED."address", "code" = coalesce(t."code", EXCLUDED."code")

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

