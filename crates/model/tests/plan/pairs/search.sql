-- 1. rename t.d to e (additive)
-- servers that still have the old model fail until they have the new one
begin;
alter table app."t" rename column "d" to "e";
alter table app."t" rename column "d~search" to "e~search";
commit;

-- 2. change field t.a (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" add column "a~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.english'::regconfig, coalesce("a", ''))) stored;
alter table app."t" alter column "a~search" set statistics 0;
grant select ("a~search") on app."t" to freehold_app;
commit;

-- 3. change field t.c (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" drop column "c~search";
alter table app."t" add column "c~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.german'::regconfig, coalesce("c", ''))) stored;
alter table app."t" alter column "c~search" set statistics 0;
grant select ("c~search") on app."t" to freehold_app;
commit;

-- 4. remove search of t.b (additive)
begin;
alter table app."t" drop column "b~search";
commit;
