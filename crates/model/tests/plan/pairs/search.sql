-- 1. rename t.d to e (additive)
begin;
alter table app."t" rename column "d" to "e";
alter table app."t" rename column "d~search" to "e~search";
commit;

-- 2. change field t.a (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" add column "a~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.english'::regconfig, coalesce("a", ''))) stored;
grant select ("a~search") on app."t" to freehold_app;
commit;

-- 3. change field t.c (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" drop column "c~search";
alter table app."t" add column "c~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.german'::regconfig, coalesce("c", ''))) stored;
grant select ("c~search") on app."t" to freehold_app;
commit;

-- 4. remove search of t.b (additive)
begin;
alter table app."t" drop column "b~search";
commit;
