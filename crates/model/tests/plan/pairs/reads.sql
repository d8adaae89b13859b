-- 1. build index kept(commits, author) (additive)
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~0";
create index concurrently "kept~commits~author~idx~0" on freehold_shelf."kept~0" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~1";
create index concurrently "kept~commits~author~idx~1" on freehold_shelf."kept~1" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~2";
create index concurrently "kept~commits~author~idx~2" on freehold_shelf."kept~2" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~3";
create index concurrently "kept~commits~author~idx~3" on freehold_shelf."kept~3" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~4";
create index concurrently "kept~commits~author~idx~4" on freehold_shelf."kept~4" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~5";
create index concurrently "kept~commits~author~idx~5" on freehold_shelf."kept~5" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~6";
create index concurrently "kept~commits~author~idx~6" on freehold_shelf."kept~6" (tenant_id, "commits", "author");
drop index concurrently if exists freehold_shelf."kept~commits~author~idx~7";
create index concurrently "kept~commits~author~idx~7" on freehold_shelf."kept~7" (tenant_id, "commits", "author");

-- 2. add index kept(commits, author) (additive)
begin;
create index "kept~commits~author~idx" on only app."kept" (tenant_id, "commits", "author");
create index "kept~commits~author~idx~d" on only freehold_shelf."kept~d" (tenant_id, "commits", "author");
alter index app."kept~commits~author~idx" attach partition freehold_shelf."kept~commits~author~idx~d";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~0";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~1";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~2";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~3";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~4";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~5";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~6";
alter index freehold_shelf."kept~commits~author~idx~d" attach partition freehold_shelf."kept~commits~author~idx~7";
commit;

-- 3. remove index kept(commits) (additive)
begin;
drop index app."kept~commits~idx";
commit;

-- 4. let workers read person (additive)
begin;
drop policy if exists project on app."person";
revoke select on app."person" from freehold_project;
create policy project on app."person" for select to freehold_project using (true);
grant select ("id", "handle") on app."person" to freehold_project;
commit;

-- 5. let workers read commit (additive)
begin;
grant select ("author", "at", "subject", "meaning") on app."commit" to freehold_project;
commit;

-- 6. rebuild read model author_month (additive)
-- the old one serves until the new one is ready
-- Freehold makes the table of author_month, fills it tenant by tenant, and puts it in its place

-- 7. build read model came (additive)
-- Freehold makes the table of came, fills it tenant by tenant, and puts it in its place

-- 8. remove read model gone (additive)
begin;
drop table app."gone";
commit;
