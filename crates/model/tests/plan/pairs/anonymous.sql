-- 1. open notice to anybody no more (additive)
begin;
revoke select on app."notice" from freehold_anonymous;
drop policy if exists anonymous on app."notice";
commit;

-- 2. open notices to anybody no more (additive)
begin;
revoke select on app."notices" from freehold_anonymous;
drop policy if exists anonymous on app."notices";
commit;

-- 3. add entity event (additive)
begin;
create table app."event" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "name" text not null
) partition by list (tenant_id);
create table freehold_shelf."event~d" partition of app."event" default partition by hash (tenant_id);
create table freehold_shelf."event~0" partition of freehold_shelf."event~d" (constraint "event~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."event~1" partition of freehold_shelf."event~d" (constraint "event~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."event~2" partition of freehold_shelf."event~d" (constraint "event~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."event~3" partition of freehold_shelf."event~d" (constraint "event~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."event~4" partition of freehold_shelf."event~d" (constraint "event~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."event~5" partition of freehold_shelf."event~d" (constraint "event~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."event~6" partition of freehold_shelf."event~d" (constraint "event~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."event~7" partition of freehold_shelf."event~d" (constraint "event~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."event~d" add constraint "event~pkey~d" primary key (tenant_id, id);
alter table app."event" add constraint "event~pkey" primary key (tenant_id, id);
alter table app."event"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "name" set statistics 0;
alter table app."event" enable row level security, force row level security;
alter table freehold_shelf."event~d" enable row level security, force row level security;
alter table freehold_shelf."event~0" enable row level security, force row level security;
alter table freehold_shelf."event~1" enable row level security, force row level security;
alter table freehold_shelf."event~2" enable row level security, force row level security;
alter table freehold_shelf."event~3" enable row level security, force row level security;
alter table freehold_shelf."event~4" enable row level security, force row level security;
alter table freehold_shelf."event~5" enable row level security, force row level security;
alter table freehold_shelf."event~6" enable row level security, force row level security;
alter table freehold_shelf."event~7" enable row level security, force row level security;
create policy wall on app."event" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."event" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."event"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."event"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."event"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."event"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "name"), insert ("tenant_id", "id", "name"), update ("name"), delete on app."event" to freehold_app;
create policy anonymous on app."event" for select to freehold_anonymous using (true);
grant select ("tenant_id", "id", "name") on app."event" to freehold_anonymous;
commit;

-- 4. add field page.summary (rewriting: writes every row of page anew while all who use it wait)
begin;
alter table app."page" add column "summary" text not null default ''::text;
alter table app."page" alter column "summary" set statistics 0;
grant select ("summary"), insert ("summary"), update ("summary") on app."page" to freehold_app;
grant select ("summary") on app."page" to freehold_anonymous;
alter table app."page" add column "summary~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.german'::regconfig, coalesce("summary", ''))) stored;
alter table app."page" alter column "summary~search" set statistics 0;
grant select ("summary~search") on app."page" to freehold_app;
grant select ("summary~search") on app."page" to freehold_anonymous;
commit;

-- 5. add field draft.more (additive)
begin;
alter table app."draft" add column "more" text;
alter table app."draft" alter column "more" set statistics 0;
grant select ("more"), insert ("more"), update ("more") on app."draft" to freehold_app;
commit;

-- 6. change field page.title (rewriting: writes every row of page anew while all who use it wait)
begin;
alter table app."page" drop column "title~search";
alter table app."page" add column "title~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.german'::regconfig, coalesce("title", ''))) stored;
alter table app."page" alter column "title~search" set statistics 0;
grant select ("title~search") on app."page" to freehold_app;
grant select ("title~search") on app."page" to freehold_anonymous;
commit;

-- 7. make room for new vectors of page.meaning (additive)
begin;
alter table app."page" add column "meaning~next" freehold_ext.vector(64);
alter table app."page" alter column "meaning~next" set storage main;
alter table app."page" alter column "meaning~next" set statistics 0;
grant select ("meaning~next"), insert ("meaning~next"), update ("meaning~next") on app."page" to freehold_app;
grant select ("meaning~next") on app."page" to freehold_anonymous;
create function freehold_shelf."page~meaning~next~outdated"() returns trigger language plpgsql as 'begin new."meaning~next" := null; return new; end';
create trigger "page~meaning~next~outdated" before update of "title", "body" on app."page" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."meaning~next" operator(freehold_ext.=) new."meaning~next")
  execute function freehold_shelf."page~meaning~next~outdated"();
commit;

-- 8. fill field page.meaning (additive)
-- Freehold embeds the rows of page in which "meaning~next" is null

-- 9. put the new vectors of page.meaning in place (additive)
begin;
drop trigger "page~meaning~next~outdated" on app."page";
drop function freehold_shelf."page~meaning~next~outdated"();
drop trigger "page~meaning~outdated" on app."page";
drop function freehold_shelf."page~meaning~outdated"();
drop trigger "page~meaning~due" on app."page";
alter table app."page" drop column "meaning";
alter table app."page" rename column "meaning~next" to "meaning";
create function freehold_shelf."page~meaning~outdated"() returns trigger language plpgsql as 'begin new."meaning" := null; return new; end';
create trigger "page~meaning~outdated" before update of "title", "body" on app."page" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."meaning" operator(freehold_ext.=) new."meaning")
  execute function freehold_shelf."page~meaning~outdated"();
create trigger "page~meaning~due" after insert or update of "title", "body", "meaning" on app."page" for each row
  when (new."meaning" is null) execute function freehold.embedding_due('page', 'meaning');
commit;

-- 10. fill field page.meaning (additive)
-- Freehold embeds the rows of page in which "meaning" is null

-- 11. make the table of read model lengths (additive)
begin;
create table app."lengths~v0" (
  tenant_id uuid not null default freehold.tenant(),
  "length" integer not null,
  "pages" bigint
) partition by list (tenant_id);
create table freehold_shelf."lengths~v0~d" partition of app."lengths~v0" default partition by hash (tenant_id);
create table freehold_shelf."lengths~v0~0" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~0" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."lengths~v0~1" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~1" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."lengths~v0~2" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~2" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."lengths~v0~3" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~3" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."lengths~v0~4" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~4" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."lengths~v0~5" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~5" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."lengths~v0~6" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~6" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."lengths~v0~7" partition of freehold_shelf."lengths~v0~d" (constraint "lengths~v0~pkey~7" primary key (tenant_id, "length"))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."lengths~v0~d" add constraint "lengths~v0~pkey~d" primary key (tenant_id, "length");
alter table app."lengths~v0" add constraint "lengths~v0~pkey" primary key (tenant_id, "length");
alter table app."lengths~v0"
  alter column "tenant_id" set statistics 0,
  alter column "length" set statistics 0,
  alter column "pages" set statistics 0;
alter table app."lengths~v0" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~d" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~0" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~1" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~2" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~3" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~4" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~5" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~6" enable row level security, force row level security;
alter table freehold_shelf."lengths~v0~7" enable row level security, force row level security;
create policy wall on app."lengths~v0" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."lengths~v0" for all to freehold_app using (true);
create trigger noted after insert or update or delete or truncate on app."lengths~v0"
  for each statement execute function freehold.note();
create policy project on app."lengths~v0" for all to freehold_project using (true);
grant select ("tenant_id", "length", "pages") on app."lengths~v0" to freehold_app;
grant select ("tenant_id", "length", "pages"), insert ("length", "pages"), update ("length", "pages"), delete on app."lengths~v0" to freehold_project;
create policy anonymous on app."lengths~v0" for select to freehold_anonymous using (true);
grant select ("tenant_id", "length", "pages") on app."lengths~v0" to freehold_anonymous;
commit;

-- 12. build read model lengths (additive)
-- Freehold fills app."lengths~v0"

-- 13. serve read model lengths (additive)
begin;
select freehold.projector_serve('lengths');
alter table app."lengths~v0" rename to "lengths";
alter table freehold_shelf."lengths~v0~d" rename to "lengths~d";
alter table freehold_shelf."lengths~v0~0" rename to "lengths~0";
alter table freehold_shelf."lengths~v0~1" rename to "lengths~1";
alter table freehold_shelf."lengths~v0~2" rename to "lengths~2";
alter table freehold_shelf."lengths~v0~3" rename to "lengths~3";
alter table freehold_shelf."lengths~v0~4" rename to "lengths~4";
alter table freehold_shelf."lengths~v0~5" rename to "lengths~5";
alter table freehold_shelf."lengths~v0~6" rename to "lengths~6";
alter table freehold_shelf."lengths~v0~7" rename to "lengths~7";
alter index app."lengths~v0~pkey" rename to "lengths~pkey";
alter index freehold_shelf."lengths~v0~pkey~d" rename to "lengths~pkey~d";
alter index freehold_shelf."lengths~v0~pkey~0" rename to "lengths~pkey~0";
alter index freehold_shelf."lengths~v0~pkey~1" rename to "lengths~pkey~1";
alter index freehold_shelf."lengths~v0~pkey~2" rename to "lengths~pkey~2";
alter index freehold_shelf."lengths~v0~pkey~3" rename to "lengths~pkey~3";
alter index freehold_shelf."lengths~v0~pkey~4" rename to "lengths~pkey~4";
alter index freehold_shelf."lengths~v0~pkey~5" rename to "lengths~pkey~5";
alter index freehold_shelf."lengths~v0~pkey~6" rename to "lengths~pkey~6";
alter index freehold_shelf."lengths~v0~pkey~7" rename to "lengths~pkey~7";
commit;

-- 14. open draft to anybody (additive)
-- its rows are read without a key where a server is told whose
begin;
create policy anonymous on app."draft" for select to freehold_anonymous using (true);
grant select ("tenant_id", "id", "title", "more") on app."draft" to freehold_anonymous;
commit;

-- 15. open titles to anybody (additive)
-- its rows are read without a key where a server is told whose
begin;
create policy anonymous on app."titles" for select to freehold_anonymous using (true);
grant select ("tenant_id", "title", "pages") on app."titles" to freehold_anonymous;
commit;
