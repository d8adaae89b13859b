-- 1. add field person.nick (rewriting: writes every row of person anew while all who use it wait)
begin;
alter table app."person" add column "nick" text;
alter table app."person" alter column "nick" set statistics 0;
grant select ("nick"), insert ("nick"), update ("nick") on app."person" to freehold_app;
alter table app."person" add column "nick~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.german'::regconfig, coalesce("nick", ''))) stored;
alter table app."person" alter column "nick~search" set statistics 0;
grant select ("nick~search") on app."person" to freehold_app;
commit;

-- 2. add field person.age (additive)
begin;
alter table app."person" add column "age" smallint not null default '0'::smallint;
alter table app."person" alter column "age" set statistics 0;
grant select ("age"), insert ("age"), update ("age") on app."person" to freehold_app;
alter table app."person" add constraint "person~age~min" check ("age" >= '0'::smallint) not valid;
alter table app."person" add constraint "person~age~max" check ("age" <= '150'::smallint) not valid;
commit;

-- 3. add field person.token (rewriting: writes every row of person anew while all who use it wait)
begin;
alter table app."person" add column "token" uuid not null default freehold.uuidv7();
alter table app."person" alter column "token" set statistics 0;
grant select ("token"), insert ("token"), update ("token") on app."person" to freehold_app;
commit;

-- 4. add field person.since (additive)
begin;
alter table app."person" add column "since" timestamptz not null default pg_catalog.now();
alter table app."person" alter column "since" set statistics 0;
grant select ("since"), insert ("since"), update ("since") on app."person" to freehold_app;
commit;

-- 5. add field person.mood (additive)
begin;
alter table app."person" add column "mood" text not null default 'good'::text;
grant select ("mood"), insert ("mood"), update ("mood") on app."person" to freehold_app;
alter table app."person" add constraint "person~mood~enum" check ("mood" = any (array['good', 'bad']::text[])) not valid;
commit;

-- 6. add field person.scores (additive)
begin;
alter table app."person" add column "scores" numeric(6,2)[];
alter table app."person" alter column "scores" set statistics 0;
grant select ("scores"), insert ("scores"), update ("scores") on app."person" to freehold_app;
alter table app."person" add constraint "person~scores~max_length" check (pg_catalog.cardinality("scores") <= 3) not valid;
commit;

-- 7. add field person.face (additive)
begin;
alter table app."person" add column "face" freehold_ext.halfvec(40);
alter table app."person" alter column "face" set storage main;
alter table app."person" alter column "face" set statistics 0;
grant select ("face"), insert ("face"), update ("face") on app."person" to freehold_app;
commit;

-- 8. add field note.author (additive)
begin;
alter table app."note" add column "author" uuid;
alter table app."note" alter column "author" set statistics 0;
grant select ("author"), insert ("author"), update ("author") on app."note" to freehold_app;
commit;

-- 9. add reference note.author to person (rewriting: reads every row of note while writes to note and person wait)
-- fails if a row refers to one that is not there
begin;
revoke select on freehold_shelf."note~0", freehold_shelf."note~1", freehold_shelf."note~2", freehold_shelf."note~3", freehold_shelf."note~4", freehold_shelf."note~5", freehold_shelf."note~6", freehold_shelf."note~7" from freehold_owner;
alter table app."note" add constraint "note~author~fk" foreign key (tenant_id, "author") references app."person" (tenant_id, id);
grant select on freehold_shelf."note~0", freehold_shelf."note~1", freehold_shelf."note~2", freehold_shelf."note~3", freehold_shelf."note~4", freehold_shelf."note~5", freehold_shelf."note~6", freehold_shelf."note~7" to freehold_owner;
do $$
declare
  part record;
begin
  for part in
    with recursive piece (oid, conrelid, confrelid, conname, whole, home) as (
      select oid, conrelid, confrelid, conname, conname, conrelid from pg_catalog.pg_constraint
        where contype = 'f' and conparentid = 0 and connamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
      union all
      select c.oid, c.conrelid, c.confrelid, c.conname, piece.whole, piece.home
        from piece join pg_catalog.pg_constraint c on c.conparentid = piece.oid
    )
    select piece.conrelid::regclass as home, conname as old, named.new
      from piece join pg_catalog.pg_class referred on referred.oid = piece.confrelid,
        lateral (select case when piece.conrelid = piece.home and referred.relispartition
          then whole || '~' || split_part(referred.relname, '~', -1) else whole end) as named (new)
      where conname <> named.new
  loop
    execute format('alter table %s rename constraint %I to %I', part.home, part.old, part.new);
  end loop;
end $$;
commit;

-- 10. check field person.age (additive)
-- fails if a value is out of bounds
begin;
alter table app."person" validate constraint "person~age~min";
alter table app."person" validate constraint "person~age~max";
commit;

-- 11. check field person.mood (additive)
-- fails if a value is not listed
begin;
alter table app."person" validate constraint "person~mood~enum";
commit;

-- 12. check field person.scores (additive)
-- fails if a value is out of bounds
begin;
alter table app."person" validate constraint "person~scores~max_length";
commit;

-- 13. build unique key person(token) (additive)
-- fails if two rows of a tenant agree in these fields
drop index concurrently if exists freehold_shelf."person~token~key~0";
create unique index concurrently "person~token~key~0" on freehold_shelf."person~0" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~1";
create unique index concurrently "person~token~key~1" on freehold_shelf."person~1" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~2";
create unique index concurrently "person~token~key~2" on freehold_shelf."person~2" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~3";
create unique index concurrently "person~token~key~3" on freehold_shelf."person~3" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~4";
create unique index concurrently "person~token~key~4" on freehold_shelf."person~4" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~5";
create unique index concurrently "person~token~key~5" on freehold_shelf."person~5" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~6";
create unique index concurrently "person~token~key~6" on freehold_shelf."person~6" (tenant_id, "token");
drop index concurrently if exists freehold_shelf."person~token~key~7";
create unique index concurrently "person~token~key~7" on freehold_shelf."person~7" (tenant_id, "token");

-- 14. add unique key person(token) (additive)
begin;
create unique index "person~token~key" on only app."person" (tenant_id, "token");
create unique index "person~token~key~d" on only freehold_shelf."person~d" (tenant_id, "token");
alter index app."person~token~key" attach partition freehold_shelf."person~token~key~d";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~0";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~1";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~2";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~3";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~4";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~5";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~6";
alter index freehold_shelf."person~token~key~d" attach partition freehold_shelf."person~token~key~7";
commit;

-- 15. build index note(author) (additive)
drop index concurrently if exists freehold_shelf."note~author~idx~0";
create index concurrently "note~author~idx~0" on freehold_shelf."note~0" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~1";
create index concurrently "note~author~idx~1" on freehold_shelf."note~1" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~2";
create index concurrently "note~author~idx~2" on freehold_shelf."note~2" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~3";
create index concurrently "note~author~idx~3" on freehold_shelf."note~3" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~4";
create index concurrently "note~author~idx~4" on freehold_shelf."note~4" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~5";
create index concurrently "note~author~idx~5" on freehold_shelf."note~5" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~6";
create index concurrently "note~author~idx~6" on freehold_shelf."note~6" (tenant_id, "author");
drop index concurrently if exists freehold_shelf."note~author~idx~7";
create index concurrently "note~author~idx~7" on freehold_shelf."note~7" (tenant_id, "author");

-- 16. add index note(author) (additive)
begin;
create index "note~author~idx" on only app."note" (tenant_id, "author");
create index "note~author~idx~d" on only freehold_shelf."note~d" (tenant_id, "author");
alter index app."note~author~idx" attach partition freehold_shelf."note~author~idx~d";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~0";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~1";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~2";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~3";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~4";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~5";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~6";
alter index freehold_shelf."note~author~idx~d" attach partition freehold_shelf."note~author~idx~7";
commit;

-- 17. add field note.meaning (additive)
begin;
alter table app."note" add column "meaning" freehold_ext.vector(80);
alter table app."note" alter column "meaning" set storage main;
alter table app."note" alter column "meaning" set statistics 0;
grant select ("meaning"), insert ("meaning"), update ("meaning") on app."note" to freehold_app;
create function freehold_shelf."note~meaning~outdated"() returns trigger language plpgsql as 'begin new."meaning" := null; return new; end';
create trigger "note~meaning~outdated" before update of "title" on app."note" for each row
  when (row(old."title") is distinct from row(new."title") and old."meaning" operator(freehold_ext.=) new."meaning")
  execute function freehold_shelf."note~meaning~outdated"();
create trigger "note~meaning~due" after insert or update of "title", "meaning" on app."note" for each row
  when (new."meaning" is null) execute function freehold.embedding_due('note', 'meaning');
commit;

-- 18. fill field note.meaning (additive)
-- Freehold embeds the rows of note in which "meaning" is null
