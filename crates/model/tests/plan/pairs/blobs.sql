-- 1. rename paper to document, document.draft to first_draft (additive)
-- servers that still have the old model fail until they have the new one
begin;
drop trigger "paper~scan~blob" on app."paper";
drop function freehold_shelf."paper~scan~blob"();
drop trigger "paper~draft~blob" on app."paper";
drop function freehold_shelf."paper~draft~blob"();
drop trigger "paper~note~blob" on app."paper";
drop function freehold_shelf."paper~note~blob"();
alter table app."paper" rename to "document";
alter table freehold_shelf."paper~d" rename to "document~d";
alter table freehold_shelf."paper~0" rename to "document~0";
alter table freehold_shelf."paper~1" rename to "document~1";
alter table freehold_shelf."paper~2" rename to "document~2";
alter table freehold_shelf."paper~3" rename to "document~3";
alter table freehold_shelf."paper~4" rename to "document~4";
alter table freehold_shelf."paper~5" rename to "document~5";
alter table freehold_shelf."paper~6" rename to "document~6";
alter table freehold_shelf."paper~7" rename to "document~7";
alter table app."document" rename column "draft" to "first_draft";
alter index app."paper~pkey" rename to "document~pkey";
alter index freehold_shelf."paper~pkey~d" rename to "document~pkey~d";
alter index freehold_shelf."paper~pkey~0" rename to "document~pkey~0";
alter index freehold_shelf."paper~pkey~1" rename to "document~pkey~1";
alter index freehold_shelf."paper~pkey~2" rename to "document~pkey~2";
alter index freehold_shelf."paper~pkey~3" rename to "document~pkey~3";
alter index freehold_shelf."paper~pkey~4" rename to "document~pkey~4";
alter index freehold_shelf."paper~pkey~5" rename to "document~pkey~5";
alter index freehold_shelf."paper~pkey~6" rename to "document~pkey~6";
alter index freehold_shelf."paper~pkey~7" rename to "document~pkey~7";
create function freehold_shelf."document~scan~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."scan" is not null and (tg_op = ''DELETE'' or old."scan" is distinct from new."scan") then
      perform freehold.blob_drop(old.tenant_id, old."scan");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."scan" is not null and (tg_op = ''INSERT'' or old."scan" is distinct from new."scan") then
      perform freehold.blob_take(new.tenant_id, new."scan", ''document'', ''scan'', new.id, 10000000, array[''image/png'', ''application/pdf'']::pg_catalog.text[], ''document~scan~blob'');
    end if;
  end if;
  return null;
end';
create trigger "document~scan~blob" after insert or delete or update of "scan" on app."document"
  for each row execute function freehold_shelf."document~scan~blob"();
create function freehold_shelf."document~first_draft~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."first_draft" is not null and (tg_op = ''DELETE'' or old."first_draft" is distinct from new."first_draft") then
      perform freehold.blob_drop(old.tenant_id, old."first_draft");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."first_draft" is not null and (tg_op = ''INSERT'' or old."first_draft" is distinct from new."first_draft") then
      perform freehold.blob_take(new.tenant_id, new."first_draft", ''document'', ''first_draft'', new.id, 50000000, array[]::pg_catalog.text[], ''document~first_draft~blob'');
    end if;
  end if;
  return null;
end';
create trigger "document~first_draft~blob" after insert or delete or update of "first_draft" on app."document"
  for each row execute function freehold_shelf."document~first_draft~blob"();
create function freehold_shelf."document~note~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."note" is not null and (tg_op = ''DELETE'' or old."note" is distinct from new."note") then
      perform freehold.blob_drop(old.tenant_id, old."note");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."note" is not null and (tg_op = ''INSERT'' or old."note" is distinct from new."note") then
      perform freehold.blob_take(new.tenant_id, new."note", ''document'', ''note'', new.id, 50000000, array[]::pg_catalog.text[], ''document~note~blob'');
    end if;
  end if;
  return null;
end';
create trigger "document~note~blob" after insert or delete or update of "note" on app."document"
  for each row execute function freehold_shelf."document~note~blob"();
select freehold.blobs_renamed(array['paper', 'paper', 'paper'], array['scan', 'draft', 'note'], array['document', 'document', 'document'], array['scan', 'first_draft', 'note']);
commit;

-- 2. add entity file (additive)
begin;
create table app."file" (
  tenant_id uuid not null default freehold.tenant(),
  id uuid not null default freehold.uuidv7(),
  "path" text not null,
  "file" uuid not null
) partition by list (tenant_id);
create table freehold_shelf."file~d" partition of app."file" default partition by hash (tenant_id);
create table freehold_shelf."file~0" partition of freehold_shelf."file~d" (constraint "file~pkey~0" primary key (tenant_id, id))
  for values with (modulus 8, remainder 0);
create table freehold_shelf."file~1" partition of freehold_shelf."file~d" (constraint "file~pkey~1" primary key (tenant_id, id))
  for values with (modulus 8, remainder 1);
create table freehold_shelf."file~2" partition of freehold_shelf."file~d" (constraint "file~pkey~2" primary key (tenant_id, id))
  for values with (modulus 8, remainder 2);
create table freehold_shelf."file~3" partition of freehold_shelf."file~d" (constraint "file~pkey~3" primary key (tenant_id, id))
  for values with (modulus 8, remainder 3);
create table freehold_shelf."file~4" partition of freehold_shelf."file~d" (constraint "file~pkey~4" primary key (tenant_id, id))
  for values with (modulus 8, remainder 4);
create table freehold_shelf."file~5" partition of freehold_shelf."file~d" (constraint "file~pkey~5" primary key (tenant_id, id))
  for values with (modulus 8, remainder 5);
create table freehold_shelf."file~6" partition of freehold_shelf."file~d" (constraint "file~pkey~6" primary key (tenant_id, id))
  for values with (modulus 8, remainder 6);
create table freehold_shelf."file~7" partition of freehold_shelf."file~d" (constraint "file~pkey~7" primary key (tenant_id, id))
  for values with (modulus 8, remainder 7);
alter table freehold_shelf."file~d" add constraint "file~pkey~d" primary key (tenant_id, id);
alter table app."file" add constraint "file~pkey" primary key (tenant_id, id);
alter table app."file"
  alter column "tenant_id" set statistics 0,
  alter column "id" set statistics 0,
  alter column "path" set statistics 0,
  alter column "file" set statistics 0;
alter table app."file" enable row level security, force row level security;
alter table freehold_shelf."file~d" enable row level security, force row level security;
alter table freehold_shelf."file~0" enable row level security, force row level security;
alter table freehold_shelf."file~1" enable row level security, force row level security;
alter table freehold_shelf."file~2" enable row level security, force row level security;
alter table freehold_shelf."file~3" enable row level security, force row level security;
alter table freehold_shelf."file~4" enable row level security, force row level security;
alter table freehold_shelf."file~5" enable row level security, force row level security;
alter table freehold_shelf."file~6" enable row level security, force row level security;
alter table freehold_shelf."file~7" enable row level security, force row level security;
create policy wall on app."file" as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on app."file" for all to freehold_app using (true);
create trigger noted after insert or truncate on app."file"
  for each statement execute function freehold.note();
create trigger noted_moved after update of tenant_id, id on app."file"
  for each statement execute function freehold.note();
create trigger noted_update after update on app."file"
  referencing new table as changed for each statement execute function freehold.note_rows();
create trigger noted_delete after delete on app."file"
  referencing old table as changed for each statement execute function freehold.note_rows();
grant select ("tenant_id", "id", "path", "file"), insert ("tenant_id", "id", "path", "file"), update ("path", "file"), delete on app."file" to freehold_app;
create unique index "file~path~key~0" on freehold_shelf."file~0" (tenant_id, "path");
create unique index "file~path~key~1" on freehold_shelf."file~1" (tenant_id, "path");
create unique index "file~path~key~2" on freehold_shelf."file~2" (tenant_id, "path");
create unique index "file~path~key~3" on freehold_shelf."file~3" (tenant_id, "path");
create unique index "file~path~key~4" on freehold_shelf."file~4" (tenant_id, "path");
create unique index "file~path~key~5" on freehold_shelf."file~5" (tenant_id, "path");
create unique index "file~path~key~6" on freehold_shelf."file~6" (tenant_id, "path");
create unique index "file~path~key~7" on freehold_shelf."file~7" (tenant_id, "path");
create unique index "file~path~key~d" on freehold_shelf."file~d" (tenant_id, "path");
create unique index "file~path~key" on app."file" (tenant_id, "path");
create function freehold_shelf."file~file~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."file" is not null and (tg_op = ''DELETE'' or old."file" is distinct from new."file") then
      perform freehold.blob_drop(old.tenant_id, old."file");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."file" is not null and (tg_op = ''INSERT'' or old."file" is distinct from new."file") then
      perform freehold.blob_take(new.tenant_id, new."file", ''file'', ''file'', new.id, 50000000, array[]::pg_catalog.text[], ''file~file~blob'');
    end if;
  end if;
  return null;
end';
create trigger "file~file~blob" after insert or delete or update of "file" on app."file"
  for each row execute function freehold_shelf."file~file~blob"();
commit;

-- 3. add field document.cover (additive)
begin;
alter table app."document" add column "cover" uuid;
alter table app."document" alter column "cover" set statistics 0;
grant select ("cover"), insert ("cover"), update ("cover") on app."document" to freehold_app;
create function freehold_shelf."document~cover~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."cover" is not null and (tg_op = ''DELETE'' or old."cover" is distinct from new."cover") then
      perform freehold.blob_drop(old.tenant_id, old."cover");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."cover" is not null and (tg_op = ''INSERT'' or old."cover" is distinct from new."cover") then
      perform freehold.blob_take(new.tenant_id, new."cover", ''document'', ''cover'', new.id, 50000000, array[]::pg_catalog.text[], ''document~cover~blob'');
    end if;
  end if;
  return null;
end';
create trigger "document~cover~blob" after insert or delete or update of "cover" on app."document"
  for each row execute function freehold_shelf."document~cover~blob"();
commit;

-- 4. change field document.scan (additive)
begin;
drop trigger "document~scan~blob" on app."document";
drop function freehold_shelf."document~scan~blob"();
create function freehold_shelf."document~scan~blob"() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as 'begin
  if tg_op <> ''INSERT'' then
    if old."scan" is not null and (tg_op = ''DELETE'' or old."scan" is distinct from new."scan") then
      perform freehold.blob_drop(old.tenant_id, old."scan");
    end if;
  end if;
  if tg_op <> ''DELETE'' then
    if new."scan" is not null and (tg_op = ''INSERT'' or old."scan" is distinct from new."scan") then
      perform freehold.blob_take(new.tenant_id, new."scan", ''document'', ''scan'', new.id, 1073741824, array[''image/*'']::pg_catalog.text[], ''document~scan~blob'');
    end if;
  end if;
  return null;
end';
create trigger "document~scan~blob" after insert or delete or update of "scan" on app."document"
  for each row execute function freehold_shelf."document~scan~blob"();
commit;

-- 5. remove field document.note (destructive: drop:document.note)
begin;
drop trigger "document~note~blob" on app."document";
drop function freehold_shelf."document~note~blob"();
alter table app."document" drop column "note";
select freehold.blobs_dropped('document', 'note');
commit;

-- 6. remove entity gone (destructive: drop:gone)
begin;
drop table app."gone";
drop function freehold_shelf."gone~file~blob"();
select freehold.blobs_dropped('gone', null);
commit;

-- needs --allow drop:document.note
-- needs --allow drop:gone