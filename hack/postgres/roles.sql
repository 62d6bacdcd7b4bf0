-- Copyright The Projectionist Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- Who may do what in the database that read models are kept in, as a careful administrator would hand it out.
--   projector      owns the database: both DDL and rows, the usual way
--   projector_ddl  DDL only in effect, for stores whose projectors may not change the schema
--   projector_dml  rows of what projector_ddl made, and no DDL at all
--   reader         query code: SELECT on what either of the two makes

GRANT CONNECT ON DATABASE reads TO projector_ddl, projector_dml, reader;
GRANT CREATE, TEMPORARY ON DATABASE reads TO projector_ddl;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO projector_ddl;
GRANT USAGE ON SCHEMA public TO projector_dml, reader;

ALTER DEFAULT PRIVILEGES FOR ROLE projector, projector_ddl GRANT USAGE ON SCHEMAS TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE projector, projector_ddl GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_ddl GRANT USAGE ON SCHEMAS TO projector_dml;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_ddl GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO projector_dml;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_ddl GRANT USAGE ON SEQUENCES TO projector_dml;
