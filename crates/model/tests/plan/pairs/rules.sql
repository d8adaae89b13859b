-- 1. change field t.a (additive)
begin;
alter table app."t" alter column "a" set default ''::text;
alter table app."t" add constraint "t~a~required" check ("a" is not null) not valid;
commit;

-- 2. change field t.b (additive)
begin;
alter table app."t" alter column "b" drop not null;
alter table app."t" alter column "b" set default 'c'::text;
commit;

-- 3. change field t.c (additive)
begin;
alter table app."t" drop constraint "t~c~enum";
alter table app."t" alter column "c" set default 'four'::text;
alter table app."t" add constraint "t~c~enum" check ("c" = any (array['one', 'two', 'four']::text[])) not valid;
commit;

-- 4. change field t.d (additive)
begin;
alter table app."t" drop constraint "t~d~min";
alter table app."t" drop constraint "t~d~max";
alter table app."t" alter column "d" set default '4'::integer;
alter table app."t" add constraint "t~d~min" check ("d" >= '2'::integer) not valid;
commit;

-- 5. change field t.e (additive)
begin;
alter table app."t" drop constraint "t~e~max_length";
alter table app."t" add constraint "t~e~min_length" check (pg_catalog.cardinality("e") >= 1) not valid;
alter table app."t" add constraint "t~e~max_length" check (pg_catalog.cardinality("e") <= 5) not valid;
commit;

-- 6. change field t.f (additive)
begin;
alter table app."t" drop constraint "t~f~min_length";
alter table app."t" alter column "f" set statistics -1;
alter table app."t" add constraint "t~f~enum" check ("f" = any (array['ff', 'gg']::text[])) not valid;
commit;

-- 7. change field t.g (additive)
begin;
alter table app."t" alter column "g" drop default;
alter table app."t" add constraint "t~g~required" check ("g" is not null) not valid;
commit;

-- 8. check field t.a (additive)
-- fails if a value is missing
begin;
alter table app."t" validate constraint "t~a~required";
commit;

-- 9. check field t.c (additive)
-- fails if a value is not listed
begin;
alter table app."t" validate constraint "t~c~enum";
commit;

-- 10. check field t.d (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~d~min";
commit;

-- 11. check field t.e (additive)
-- fails if a value is out of bounds
begin;
alter table app."t" validate constraint "t~e~min_length";
alter table app."t" validate constraint "t~e~max_length";
commit;

-- 12. check field t.f (additive)
-- fails if a value is not listed
begin;
alter table app."t" validate constraint "t~f~enum";
commit;

-- 13. check field t.g (additive)
-- fails if a value is missing
begin;
alter table app."t" validate constraint "t~g~required";
commit;

-- 14. require field t.a (additive)
begin;
alter table app."t" alter column "a" set not null;
alter table app."t" drop constraint "t~a~required";
commit;

-- 15. require field t.g (additive)
begin;
alter table app."t" alter column "g" set not null;
alter table app."t" drop constraint "t~g~required";
commit;
