-- Blobs: what exists, whose it is and where its bytes are. The bytes are in object storage, sealed; PostgreSQL alone says
-- what is true. States: `uploading` (noted before its first byte is written), `pending` (its bytes are all there), `live`
-- (a row has it), `doomed` (its bytes are to be deleted; then the row goes, too).
set local role freehold_gate;

-- The key by which keys of a tenant's people and blobs are wrapped, itself wrapped by an epoch's key; and the folder its
-- objects are in. It goes with the tenant, and with it whatever could open the tenant's bytes.
create table if not exists freehold.tenant_key (
  tenant_id uuid primary key references freehold.tenant (id) on delete cascade,
  wrapped bytea not null,
  folder uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now()
);

alter table freehold.tenant_key
  add column if not exists epoch integer not null default 0,
  add column if not exists gen integer not null default 0,
  -- Whether a key is gone that was under it: backups have both, so the next epoch has another in its place.
  add column if not exists spent boolean not null default false,
  -- The generation before, while keys are moved to this one.
  add column if not exists old_wrapped bytea,
  add column if not exists old_epoch integer;

-- Folders of tenants that are gone, until nothing is left in them. No other folder is ever emptied: one that is not here may
-- be another database's, or of a tenant that came after the backup which this database was restored from.
create table if not exists freehold.gone_folder (
  folder uuid primary key,
  tenant_id uuid not null,
  gone_at timestamptz not null default now()
);

-- What a tenant has in storage, the doomed included until their bytes are gone, and what it may have.
create table if not exists freehold.blob_usage (
  tenant_id uuid primary key references freehold.tenant (id) on delete cascade,
  bytes bigint not null default 0,
  objects bigint not null default 0,
  bytes_max bigint,
  objects_max bigint
);

-- Not bound to freehold.tenant: the bytes of a tenant that is gone have still to be deleted. `upload` is the storage's own
-- name for an upload in parts that is under way: with it whoever deletes the blob can give up the parts, too.
create table if not exists freehold.blob (
  tenant_id uuid not null,
  id uuid not null,
  entity text not null,
  field text not null,
  row_id uuid,
  name text,
  type text not null,
  size bigint not null check (size >= 0),
  hash bytea check (octet_length(hash) = 32),
  state text not null default 'uploading' check (state in ('uploading', 'pending', 'live', 'doomed')),
  object text not null unique,
  upload text,
  key bytea not null,
  created_at timestamptz not null default now(),
  doomed_at timestamptz,
  next_at timestamptz,
  attempts integer not null default 0,
  primary key (tenant_id, id),
  check ((hash is null) <= (state in ('uploading', 'doomed'))),
  check ((row_id is null) <= (state <> 'live'))
);
-- Of which generation the tenant's key is that `key` is wrapped by.
alter table freehold.blob add column if not exists key_gen integer not null default 0;
alter table freehold.blob
  -- Whose it is by its row, and whether it stays for a duty when they are erased (1) or goes with them (0).
  add column if not exists subject uuid,
  add column if not exists subject_class smallint not null default 0,
  -- Which key of whose `key` is wrapped by: null for the tenant's.
  add column if not exists key_subject uuid,
  add column if not exists key_class smallint,
  add column if not exists key_subject_gen smallint,
  -- From when on a worker looks whose it is and wraps its key for them, of what a row has; null for never. What was there before
  -- there were these columns is looked at once.
  add column if not exists own_at timestamptz default now();
alter table freehold.blob alter column own_at drop default;
-- What `hash` is: SHA-256 (0) of what came before version 9 of the platform, BLAKE3 (1) since.
alter table freehold.blob add column if not exists hash_kind smallint not null default 0 check (hash_kind in (0, 1));
create index if not exists blob_own_idx on freehold.blob (tenant_id, id) where own_at is not null;
create index if not exists blob_own_subject_idx on freehold.blob (tenant_id, subject) where own_at is not null;
create index if not exists blob_own_key_idx on freehold.blob (tenant_id, key_subject) where own_at is not null and key_subject is not null;
create index if not exists blob_doomed_idx on freehold.blob (doomed_at) where state = 'doomed';
create index if not exists blob_waiting_idx on freehold.blob (created_at) where state in ('uploading', 'pending');
create index if not exists blob_field_idx on freehold.blob (tenant_id, entity, field);

-- Names of objects that servers were given beforehand, on the disk before one is used: an upload under such a name need not wait until
-- its own note is there. One whose upload is forgotten in a crash, or that nobody used, is given up like an upload. Not bound to
-- freehold.tenant, as freehold.blob is not.
create table if not exists freehold.blob_name (
  object text primary key,
  tenant_id uuid not null,
  given_at timestamptz not null default now()
);
create index if not exists blob_name_idx on freehold.blob_name (given_at);
alter table freehold.blob_name enable row level security;
drop policy if exists wall on freehold.blob_name;
create policy wall on freehold.blob_name as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());

-- No samples: EXPLAIN would spell what other tenants hold.
do $$
declare
  col name;
begin
  for col in select attname from pg_attribute where attrelid = 'freehold.blob'::regclass and attnum > 0 and not attisdropped loop
    execute format('alter table freehold.blob alter column %I set statistics 0', col);
  end loop;
end $$;

-- Not forced: the functions below belong to the table's owner and see all tenants.
alter table freehold.blob enable row level security;
drop policy if exists wall on freehold.blob;
drop policy if exists use on freehold.blob;
drop policy if exists anonymous on freehold.blob;
create policy wall on freehold.blob as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on freehold.blob as permissive for all to freehold_app using (true) with check (true);
revoke all on freehold.blob from freehold_app;
grant select (tenant_id, id, entity, field, row_id, name, type, size, hash, hash_kind, state, created_at, subject) on freehold.blob to freehold_app;

-- Whether requests without a key may read an entity.
create or replace function freehold.is_open(entity text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
select exists (select from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p') and c.relname = is_open.entity
  and has_any_column_privilege('freehold_anonymous', c.oid, 'select'))
$$;
revoke all on function freehold.is_open(text) from public;
grant execute on function freehold.is_open(text) to freehold_anonymous;

create policy anonymous on freehold.blob as permissive for select to freehold_anonymous using (state = 'live' and freehold.is_open(entity));
revoke all on freehold.blob from freehold_anonymous;
grant select (tenant_id, id, entity, field, row_id, name, type, size, hash, state, created_at) on freehold.blob to freehold_anonymous;

-- For the triggers of tables: this row has the blob from now on. Only an upload of this tenant for this field whose bytes are
-- there and that no other row has can be taken. `rule` is the name by which a refusal is reported.
create or replace function freehold.blob_take(
  tenant uuid, wanted uuid, of_entity text, of_field text, of_row uuid, size_max bigint, types text[], rule text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  b freehold.blob;
begin
  update freehold.blob x set state = 'live', row_id = of_row
    where x.tenant_id = tenant and x.id = wanted and x.state = 'pending' and x.entity = of_entity and x.field = of_field
    returning x.* into b;
  if not found then
    raise exception 'no such upload' using errcode = 'foreign_key_violation', constraint = rule, column = of_field, table = of_entity;
  end if;
  if b.size > size_max or cardinality(types) > 0
    and not exists (select from unnest(types) t where b.type = t or right(t, 2) = '/*' and starts_with(b.type, left(t, -1)))
  then
    raise exception 'the field does not take this upload' using errcode = 'check_violation', constraint = rule, column = of_field, table = of_entity;
  end if;
end $$;

-- For the triggers of tables: no row has the blob any more.
create or replace function freehold.blob_drop(tenant uuid, unwanted uuid) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set state = 'doomed', doomed_at = now() where b.tenant_id = tenant and b.id = unwanted and b.state = 'live';
end;

-- For apply: a field, or all of an entity, is gone.
create or replace function freehold.blobs_dropped(of_entity text, of_field text) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set state = 'doomed', doomed_at = now()
    where b.entity = of_entity and (of_field is null or b.field = of_field) and b.state <> 'doomed';
end;

-- For apply: fields have other names.
create or replace function freehold.blobs_renamed(entities text[], fields text[], entities_to text[], fields_to text[]) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set entity = r.entity_to, field = r.field_to
    from unnest(entities, fields, entities_to, fields_to) r (entity, field, entity_to, field_to)
    where b.entity = r.entity and b.field = r.field;
end;

-- Trigger on freehold.tenant: the bytes of a tenant that is gone are to be deleted.
create or replace function freehold.tenant_gone() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update freehold.blob set state = 'doomed', doomed_at = now() where tenant_id = old.id and state <> 'doomed';
  return null;
end $$;
create or replace trigger blobs after delete on freehold.tenant for each row execute function freehold.tenant_gone();

-- Trigger on freehold.tenant, before its key goes: what is left in its folder belongs to nobody from now on.
create or replace function freehold.tenant_goes() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.gone_folder (folder, tenant_id) select k.folder, k.tenant_id from freehold.tenant_key k
    where k.tenant_id = old.id and exists (select from freehold.blob_usage u where u.tenant_id = old.id) on conflict do nothing;
  update freehold.keystore set spent_at = coalesce(spent_at, now())
    where exists (select from freehold.tenant_key k where k.tenant_id = old.id);
  return old;
end $$;
create or replace trigger folder before delete on freehold.tenant for each row execute function freehold.tenant_goes();

-- Folders of tenants that are gone, page by page; `noted` if workers still delete objects of theirs.
create or replace function freehold.blob_folders_gone(after uuid, most bigint) returns table (folder text, noted boolean, gone_s bigint)
  language sql stable security definer
begin atomic
  select replace(g.folder::text, '-', ''), exists (select from freehold.blob b where b.tenant_id = g.tenant_id),
      extract(epoch from now() - g.gone_at)::bigint
    from freehold.gone_folder g where after is null or g.folder > after order by g.folder limit most;
end;

-- Those of the folders that are of a tenant here, or of one that is gone.
create or replace function freehold.blob_folders_known(names uuid[]) returns table (folder text)
  language sql stable security definer
begin atomic
  select replace(n.id::text, '-', '') from unnest(names) n (id)
    where n.id in (select k.folder from freehold.tenant_key k union all select g.folder from freehold.gone_folder g);
end;

-- Nothing is left in it, and nothing will come.
create or replace function freehold.blob_folder_forget(gone uuid) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.gone_folder g where g.folder = gone;
end;

-- The tenant's wrapped key, the one before while there is one, and its folder; `made` becomes the key if it has none and the
-- epoch by which it is wrapped is still the one.
drop function if exists freehold.blob_key(uuid, text);
create or replace function freehold.tenant_key_of(tenant uuid, made text, by_epoch bigint)
  returns table (folder text, gen bigint, epoch bigint, wrapped text, old_epoch bigint, old_wrapped text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if made is not null then
    -- A new epoch waits for this, or this for it.
    perform from freehold.keystore e where e.epoch = by_epoch for share;
    if found then
      insert into freehold.tenant_key (tenant_id, wrapped, epoch) select t.id, decode(made, 'hex'), by_epoch from freehold.tenant t
        where t.id = tenant and t.state <> 'deleting' on conflict do nothing;
    end if;
  end if;
  return query select replace(k.folder::text, '-', ''), k.gen::bigint, k.epoch::bigint, encode(k.wrapped, 'hex'),
    k.old_epoch::bigint, encode(k.old_wrapped, 'hex') from freehold.tenant_key k where k.tenant_id = tenant;
end $$;

-- Names under which servers will store objects of a tenant.
create or replace function freehold.blob_names(tenant uuid, names text[]) returns void
  language sql volatile security definer
begin atomic
  insert into freehold.blob_name (object, tenant_id) select n.name, t.id from unnest(names) n (name), freehold.tenant t
    where t.id = tenant and t.state = 'active';
end;

-- Notes an upload before its first byte is written, and takes `reserve` bytes and an object of the tenant's quota for it. If its name
-- was given beforehand, it is not waited for until it is on the disk: the commit of the row that takes the upload waits for all
-- before it, and forgotten in a crash it leaves the name. Answers `made`, `tenant` if the tenant cannot be worked in, `quota`, `key` if
-- the tenant's key is another by now, or `name` if the name was given up.
drop function if exists freehold.blob_begin(uuid, uuid, uuid, text, text, text, text, bigint, text, text);
drop function if exists freehold.blob_begin(uuid, uuid, uuid, text, text, text, text, bigint, text, text, bigint);
create or replace function freehold.blob_begin(
  tenant uuid, principal uuid, made uuid, of_entity text, of_field text, called text, of_type text, reserve bigint, place text, sealed text, by_gen bigint,
  given boolean)
  returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if given then
    set local synchronous_commit = off;
  end if;
  perform from freehold.tenant t where t.id = tenant and t.state = 'active' and freehold.vouched(tenant, principal, 2::smallint) for key share;
  if not found then
    return 'tenant';
  end if;
  perform from freehold.tenant_key k where k.tenant_id = tenant and k.gen = by_gen for share;
  if not found then
    return 'key';
  end if;
  if given then
    delete from freehold.blob_name n where n.object = place and n.tenant_id = tenant;
    if not found then
      return 'name';
    end if;
  end if;
  insert into freehold.blob_usage (tenant_id) values (tenant) on conflict do nothing;
  update freehold.blob_usage u set bytes = u.bytes + reserve, objects = u.objects + 1
    where u.tenant_id = tenant and u.bytes + reserve <= coalesce(u.bytes_max, 9223372036854775807)
      and u.objects + 1 <= coalesce(u.objects_max, 9223372036854775807);
  if not found then
    return 'quota';
  end if;
  insert into freehold.blob (tenant_id, id, entity, field, name, type, size, object, key, key_gen)
    values (tenant, made, of_entity, of_field, called, of_type, reserve, place, decode(sealed, 'hex'), by_gen);
  return 'made';
end $$;

-- The storage calls the upload so, before its first part is stored. False if nobody wants it any more.
create or replace function freehold.blob_in_parts(tenant uuid, wanted uuid, begun text) returns boolean
  language sql volatile security definer
begin atomic
  with noted as (
    update freehold.blob b set upload = begun where b.tenant_id = tenant and b.id = wanted and b.state = 'uploading' returning 1)
    select exists (select from noted);
end;

-- All bytes are there, and there are this many. Not waited for until it is on the disk: the commit of the row that takes the
-- upload waits for all before it, and an upload whose end is forgotten is given up. Answers `pending`, `quota`, or `gone` if the upload took too long.
drop function if exists freehold.blob_finish(uuid, uuid, bigint, text);
create or replace function freehold.blob_finish(tenant uuid, wanted uuid, of_size bigint, digest text, kind bigint) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  b freehold.blob;
begin
  set local synchronous_commit = off;
  select * into b from freehold.blob x where x.tenant_id = tenant and x.id = wanted and x.state = 'uploading' for update;
  if not found then
    return 'gone';
  end if;
  update freehold.blob_usage u set bytes = u.bytes - b.size + of_size
    where u.tenant_id = tenant and (of_size <= b.size or u.bytes - b.size + of_size <= coalesce(u.bytes_max, 9223372036854775807));
  if not found then
    return 'quota';
  end if;
  update freehold.blob x set state = 'pending', size = of_size, hash = decode(digest, 'hex'), hash_kind = kind, upload = null
    where x.tenant_id = tenant and x.id = wanted;
  return 'pending';
end $$;

-- An upload that nobody wants; `lost` also one that is noted as a row's, which a sweep has found to be nobody's.
create or replace function freehold.blob_give_up(tenant uuid, unwanted uuid, lost boolean) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set state = 'doomed', doomed_at = now()
    where b.tenant_id = tenant and b.id = unwanted and (b.state in ('uploading', 'pending') or lost and b.state = 'live');
end;

-- Where the bytes of a blob are, what opens them, and what is known of it.
drop function if exists freehold.blob_place(uuid, uuid);
create or replace function freehold.blob_place(tenant uuid, wanted uuid)
  returns table (id text, sealed text, key_subject text, key_class bigint, key_gen bigint, entity text, field text, object text, size bigint,
    hash text, type text, name text, state text, created text, subject text)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex'), b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint, b.entity, b.field, b.object, b.size, encode(b.hash, 'hex'), b.type, b.name, b.state,
      to_char(b.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), b.subject::text
    from freehold.blob b where b.tenant_id = tenant and b.id = wanted and b.hash is not null and b.state <> 'doomed';
end;

-- Uploads that nobody took in so long are doomed; says how many. Names that were given and not used go with them. Offers that no row took go sooner.
create or replace function freehold.blobs_expire(grace interval) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  doomed bigint;
begin
  delete from freehold.blob_offer o where o.made_at < now() - interval '10 minutes';
  update freehold.blob b set state = 'doomed', doomed_at = now()
    where b.state in ('uploading', 'pending') and b.created_at < now() - grace;
  get diagnostics doomed = row_count;
  -- Names that nobody used, and those whose uploads were forgotten in a crash: something may be stored there. They count as objects
  -- from now on, and go as others do.
  with old as (delete from freehold.blob_name n where n.given_at < now() - grace returning n.tenant_id, n.object),
    counted as (update freehold.blob_usage u set objects = u.objects + o.many
      from (select tenant_id, count(*) as many from old group by tenant_id) o where u.tenant_id = o.tenant_id)
    insert into freehold.blob (tenant_id, id, entity, field, type, size, object, key, state, doomed_at)
      select o.tenant_id, gen_random_uuid(), '', '', 'application/octet-stream', 0, o.object, '', 'doomed', now() from old o;
  return doomed;
end $$;

-- The next blobs whose bytes are to be deleted; nobody else gets them for a while, and each time it lasts longer.
create or replace function freehold.blobs_doomed(most bigint) returns table (tenant text, id text, object text, upload text)
  language sql volatile security definer
begin atomic
  update freehold.blob b set attempts = b.attempts + 1, next_at = now() + interval '10 s' * least(360, 2 ^ least(b.attempts, 10))
    from (select d.tenant_id, d.id from freehold.blob d where d.state = 'doomed' and coalesce(d.next_at, d.doomed_at) <= now()
      order by d.doomed_at limit most for update skip locked) due
    where b.tenant_id = due.tenant_id and b.id = due.id returning b.tenant_id::text, b.id::text, b.object, b.upload;
end;

-- Its bytes are gone.
create or replace function freehold.blob_forget(tenant uuid, gone uuid) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  freed bigint;
begin
  delete from freehold.blob b where b.tenant_id = tenant and b.id = gone and b.state = 'doomed' returning b.size into freed;
  if found then
    update freehold.blob_usage u set bytes = u.bytes - freed, objects = u.objects - 1 where u.tenant_id = tenant;
  end if;
end $$;

-- A tenant's blobs page by page, whatever their state.
drop function if exists freehold.blobs_of(uuid, uuid, bigint);
create or replace function freehold.blobs_of(tenant uuid, after uuid, most bigint)
  returns table (id text, sealed text, key_subject text, key_class bigint, key_gen bigint, entity text, field text, object text, size bigint,
    hash text, state text, age_s bigint, hash_kind bigint)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex'), b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint, b.entity, b.field, b.object, b.size,
      encode(b.hash, 'hex'), b.state,
      extract(epoch from now() - b.created_at)::bigint, b.hash_kind::bigint
    from freehold.blob b where b.tenant_id = tenant and (after is null or b.id > after) order by b.id limit most;
end;

-- All tenants together.
create or replace function freehold.blob_totals()
  returns table (live bigint, pending bigint, uploading bigint, doomed bigint, bytes bigint, oldest_doomed_ms bigint, stuck bigint)
  language sql stable security definer
begin atomic
  select count(*) filter (where b.state = 'live'), count(*) filter (where b.state = 'pending'), count(*) filter (where b.state = 'uploading'),
      count(*) filter (where b.state = 'doomed'), coalesce(sum(b.size), 0)::bigint,
      coalesce((extract(epoch from now() - min(b.doomed_at) filter (where b.state = 'doomed')) * 1000)::bigint, 0),
      count(*) filter (where b.state = 'doomed' and b.attempts > 3)
    from freehold.blob b;
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.blob_take(uuid, uuid, text, text, uuid, bigint, text[], text), freehold.blob_drop(uuid, uuid),
  freehold.blobs_dropped(text, text), freehold.blobs_renamed(text[], text[], text[], text[]) to freehold_owner;
grant execute on function freehold.tenant_key_of(uuid, text, bigint), freehold.blob_names(uuid, text[]),
  freehold.blob_begin(uuid, uuid, uuid, text, text, text, text, bigint, text, text, bigint, boolean), freehold.blob_in_parts(uuid, uuid, text),
  freehold.blob_finish(uuid, uuid, bigint, text, bigint),
  freehold.blob_give_up(uuid, uuid, boolean), freehold.blob_place(uuid, uuid), freehold.blobs_expire(interval), freehold.blobs_doomed(bigint),
  freehold.blob_forget(uuid, uuid), freehold.blobs_of(uuid, uuid, bigint), freehold.blob_totals(),
  freehold.blob_folders_gone(uuid, bigint), freehold.blob_folders_known(uuid[]), freehold.blob_folder_forget(uuid) to freehold_control;

reset role;
