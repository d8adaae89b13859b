-- 1. add entity person (additive)
begin;
create table app."person" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "handle" text not null,
  "joined" date not null default pg_catalog.now(),
  constraint "person~handle~min_length" check (pg_catalog.char_length("handle") >= 1),
  constraint "person~handle~max_length" check (pg_catalog.char_length("handle") <= 100)
) partition by list (tenant_id);
create table freehold_shelf."person~d" partition of app."person" default partition by hash (tenant_id);
create table freehold_shelf."person~0" partition of freehold_shelf."person~d" (constraint "person~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."person~1" partition of freehold_shelf."person~d" (constraint "person~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."person~2" partition of freehold_shelf."person~d" (constraint "person~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."person~3" partition of freehold_shelf."person~d" (constraint "person~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."person~4" partition of freehold_shelf."person~d" (constraint "person~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."person~5" partition of freehold_shelf."person~d" (constraint "person~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."person~6" partition of freehold_shelf."person~d" (constraint "person~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."person~7" partition of freehold_shelf."person~d" (constraint "person~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."person~d" add constraint "person~pkey~d" primary key (tenant_id, id);
alter table app."person" add constraint "person~pkey" primary key (tenant_id, id);
alter table app."person"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "handle" set statistics 0,
  alter column "joined" set statistics 0;
alter table app."person" enable row level security, force row level security;
alter table freehold_shelf."person~d" enable row level security, force row level security;
alter table freehold_shelf."person~0" enable row level security, force row level security;
alter table freehold_shelf."person~1" enable row level security, force row level security;
alter table freehold_shelf."person~2" enable row level security, force row level security;
alter table freehold_shelf."person~3" enable row level security, force row level security;
alter table freehold_shelf."person~4" enable row level security, force row level security;
alter table freehold_shelf."person~5" enable row level security, force row level security;
alter table freehold_shelf."person~6" enable row level security, force row level security;
alter table freehold_shelf."person~7" enable row level security, force row level security;
create policy wall on app."person" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."person" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."person"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."person"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."person"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."person"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "handle", "joined"), insert ("tenant_id", "id", "handle", "joined"), update ("handle", "joined"), delete on app."person" to freehold_app;
create unique index "person~handle~key~0" on freehold_shelf."person~0" (tenant_id, "handle");
create unique index "person~handle~key~1" on freehold_shelf."person~1" (tenant_id, "handle");
create unique index "person~handle~key~2" on freehold_shelf."person~2" (tenant_id, "handle");
create unique index "person~handle~key~3" on freehold_shelf."person~3" (tenant_id, "handle");
create unique index "person~handle~key~4" on freehold_shelf."person~4" (tenant_id, "handle");
create unique index "person~handle~key~5" on freehold_shelf."person~5" (tenant_id, "handle");
create unique index "person~handle~key~6" on freehold_shelf."person~6" (tenant_id, "handle");
create unique index "person~handle~key~7" on freehold_shelf."person~7" (tenant_id, "handle");
create unique index "person~handle~key~d" on freehold_shelf."person~d" (tenant_id, "handle");
create unique index "person~handle~key" on app."person" (tenant_id, "handle");
commit;

-- 2. add entity note (additive)
begin;
create table app."note" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "author" uuid,
  "reply_to" uuid,
  "state" text not null default 'draft'::text,
  "written_at" timestamptz not null default pg_catalog.now(),
  "title" text not null,
  "title~search" tsvector generated always as (pg_catalog.to_tsvector('pg_catalog.english'::regconfig, coalesce("title", ''))) stored,
  "body" text,
  "tags" text[] not null default '{}'::text[],
  "embedding" freehold_ext.vector(384),
  constraint "note~state~enum" check ("state" = any (array['draft', E'it''s \\ shared']::text[])),
  constraint "note~title~max_length" check (pg_catalog.char_length("title") <= 200)
) partition by list (tenant_id);
alter table app."note" alter column "embedding" set storage main;
create table freehold_shelf."note~d" partition of app."note" default partition by hash (tenant_id);
create table freehold_shelf."note~0" partition of freehold_shelf."note~d" (constraint "note~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."note~1" partition of freehold_shelf."note~d" (constraint "note~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."note~2" partition of freehold_shelf."note~d" (constraint "note~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."note~3" partition of freehold_shelf."note~d" (constraint "note~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."note~4" partition of freehold_shelf."note~d" (constraint "note~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."note~5" partition of freehold_shelf."note~d" (constraint "note~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."note~6" partition of freehold_shelf."note~d" (constraint "note~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."note~7" partition of freehold_shelf."note~d" (constraint "note~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."note~d" add constraint "note~pkey~d" primary key (tenant_id, id);
alter table app."note" add constraint "note~pkey" primary key (tenant_id, id);
alter table app."note"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "author" set statistics 0,
  alter column "reply_to" set statistics 0,
  alter column "written_at" set statistics 0,
  alter column "title" set statistics 0,
  alter column "title~search" set statistics 0,
  alter column "body" set statistics 0,
  alter column "tags" set statistics 0,
  alter column "embedding" set statistics 0;
alter table app."note" enable row level security, force row level security;
alter table freehold_shelf."note~d" enable row level security, force row level security;
alter table freehold_shelf."note~0" enable row level security, force row level security;
alter table freehold_shelf."note~1" enable row level security, force row level security;
alter table freehold_shelf."note~2" enable row level security, force row level security;
alter table freehold_shelf."note~3" enable row level security, force row level security;
alter table freehold_shelf."note~4" enable row level security, force row level security;
alter table freehold_shelf."note~5" enable row level security, force row level security;
alter table freehold_shelf."note~6" enable row level security, force row level security;
alter table freehold_shelf."note~7" enable row level security, force row level security;
create policy wall on app."note" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."note" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."note"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."note"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."note"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."note"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "author", "reply_to", "state", "written_at", "title", "title~search", "body", "tags", "embedding"), insert ("tenant_id", "id", "author", "reply_to", "state", "written_at", "title", "body", "tags", "embedding"), update ("author", "reply_to", "state", "written_at", "title", "body", "tags", "embedding"), delete on app."note" to freehold_app;
create index "note~state~written_at~idx~0" on freehold_shelf."note~0" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~1" on freehold_shelf."note~1" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~2" on freehold_shelf."note~2" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~3" on freehold_shelf."note~3" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~4" on freehold_shelf."note~4" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~5" on freehold_shelf."note~5" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~6" on freehold_shelf."note~6" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~7" on freehold_shelf."note~7" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx~d" on freehold_shelf."note~d" (tenant_id, "state", "written_at");
create index "note~state~written_at~idx" on app."note" (tenant_id, "state", "written_at");
create index "note~author~idx~0" on freehold_shelf."note~0" (tenant_id, "author");
create index "note~author~idx~1" on freehold_shelf."note~1" (tenant_id, "author");
create index "note~author~idx~2" on freehold_shelf."note~2" (tenant_id, "author");
create index "note~author~idx~3" on freehold_shelf."note~3" (tenant_id, "author");
create index "note~author~idx~4" on freehold_shelf."note~4" (tenant_id, "author");
create index "note~author~idx~5" on freehold_shelf."note~5" (tenant_id, "author");
create index "note~author~idx~6" on freehold_shelf."note~6" (tenant_id, "author");
create index "note~author~idx~7" on freehold_shelf."note~7" (tenant_id, "author");
create index "note~author~idx~d" on freehold_shelf."note~d" (tenant_id, "author");
create index "note~author~idx" on app."note" (tenant_id, "author");
create index "note~reply_to~idx~0" on freehold_shelf."note~0" (tenant_id, "reply_to");
create index "note~reply_to~idx~1" on freehold_shelf."note~1" (tenant_id, "reply_to");
create index "note~reply_to~idx~2" on freehold_shelf."note~2" (tenant_id, "reply_to");
create index "note~reply_to~idx~3" on freehold_shelf."note~3" (tenant_id, "reply_to");
create index "note~reply_to~idx~4" on freehold_shelf."note~4" (tenant_id, "reply_to");
create index "note~reply_to~idx~5" on freehold_shelf."note~5" (tenant_id, "reply_to");
create index "note~reply_to~idx~6" on freehold_shelf."note~6" (tenant_id, "reply_to");
create index "note~reply_to~idx~7" on freehold_shelf."note~7" (tenant_id, "reply_to");
create index "note~reply_to~idx~d" on freehold_shelf."note~d" (tenant_id, "reply_to");
create index "note~reply_to~idx" on app."note" (tenant_id, "reply_to");
create function freehold_shelf."note~embedding~outdated"() returns trigger language plpgsql as 'begin new."embedding" := null; return new; end';
create trigger "note~embedding~outdated" before update of "title", "body" on app."note" for each row
  when (row(old."title", old."body") is distinct from row(new."title", new."body") and old."embedding" operator(freehold_ext.=) new."embedding")
  execute function freehold_shelf."note~embedding~outdated"();
create trigger "note~embedding~due" after insert or update of "title", "body", "embedding" on app."note" for each row
  when (new."embedding" is null) execute function freehold.embedding_due('note', 'embedding');
commit;

-- 3. add references of note (additive)
begin;
alter table app."note" add constraint "note~author~fk" foreign key (tenant_id, "author") references app."person" (tenant_id, id) on delete set null ("author");
alter table app."note" add constraint "note~reply_to~fk" foreign key (tenant_id, "reply_to") references app."note" (tenant_id, id) on delete cascade;
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
