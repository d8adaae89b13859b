-- 1. change field t.c (destructive: narrow:t.c)
-- loses half of each number's bits; fails if a value is out of the new type's range
begin;
alter table app."t" alter column "c" type freehold_ext.halfvec(40) using "c"::freehold_ext.halfvec(40);
alter table app."t" alter column "c" set storage main;
commit;

-- 2. change field t.d (rewriting: writes every row of t anew while all who use it wait)
begin;
alter table app."t" alter column "d" type freehold_ext.vector(40) using "d"::freehold_ext.vector(40);
alter table app."t" alter column "d" set storage main;
commit;

-- 3. replace the vectors of t.a (destructive: drop:t.a)
-- to keep the values, add a second field and remove this one later
begin;
alter table app."t" drop column "a";
alter table app."t" add column "a" freehold_ext.vector(60);
alter table app."t" alter column "a" set storage main;
alter table app."t" alter column "a" set statistics 0;
grant select ("a"), insert ("a"), update ("a") on app."t" to freehold_app;
commit;

-- 4. replace the vectors of t.e (destructive: drop:t.e)
-- to keep the values, add a second field and remove this one later
begin;
alter table app."t" drop column "e";
alter table app."t" add column "e" freehold_ext.vector(80);
alter table app."t" alter column "e" set storage main;
alter table app."t" alter column "e" set statistics 0;
grant select ("e"), insert ("e"), update ("e") on app."t" to freehold_app;
commit;

-- needs --allow narrow:t.c
-- needs --allow drop:t.a
-- needs --allow drop:t.e