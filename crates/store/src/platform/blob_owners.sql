-- Whose blobs are. The key of a blob that is somebody's is wrapped by that person's, so that with the person's key it goes, too. Only
-- servers can wrap: so they offer the key beforehand, wrapped for whom they think it is, and the row's transaction takes the offer if it
-- is so; what comes without one, such as by plain SQL, is under the tenant's key until a worker has looked.
set local role freehold_gate;

-- The keys of uploads wrapped for whom a server has reason to think that they will be: a row that takes one, or passes it on, finds
-- it here in its own transaction. PostgreSQL can wrap none.
create table if not exists freehold.blob_offer (
  tenant_id uuid not null,
  blob_id uuid not null,
  subject uuid not null,
  class smallint not null,
  gen smallint not null,
  wrapped bytea not null,
  made_at timestamptz not null default now(),
  primary key (tenant_id, blob_id),
  foreign key (tenant_id, blob_id) references freehold.blob (tenant_id, id) on delete cascade
);
alter table freehold.blob_offer enable row level security;
drop policy if exists wall on freehold.blob_offer;
create policy wall on freehold.blob_offer as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());

-- For the triggers of tables: whose the blob of a row is from now on, be it new to the row or be the row somebody else's. If its key
-- was wrapped for them beforehand, it is so from now on; else a worker does it. Nothing is written about whoever is erased: an erasure
-- that is just beginning waits for this, or this for it. Of what is somebody's no name is kept.
create or replace function freehold.blob_owned(tenant uuid, wanted uuid, person uuid, of_class smallint) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  o freehold.blob_offer;
begin
  perform from freehold.tenant t where t.id = tenant for key share;
  if exists (select from freehold.erasure e where e.tenant_id = tenant and e.subject = person and e.state <> 'held') then
    raise exception 'the person is erased' using errcode = 'FH081';
  end if;
  delete from freehold.blob_offer x where x.tenant_id = tenant and x.blob_id = wanted returning x.* into o;
  if o.subject = person and o.class = of_class then
    update freehold.blob b set subject = person, subject_class = of_class, name = null, key = o.wrapped, key_subject = o.subject, key_class = o.class,
        key_subject_gen = o.gen, own_at = null
      where b.tenant_id = tenant and b.id = wanted and b.state in ('pending', 'live');
  else
    update freehold.blob b set subject = person, subject_class = of_class, name = null,
        own_at = case when person is distinct from b.key_subject or of_class is distinct from b.key_class and person is not null then now() end
      where b.tenant_id = tenant and b.id = wanted and b.state in ('pending', 'live');
  end if;
end $$;

-- For apply: it is to be looked anew whose the blobs of a field are, and until then nobody knows.
create or replace function freehold.blobs_to_own(of_entity text, of_field text) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set own_at = now(), subject = null where b.entity = of_entity and b.field = of_field and b.state = 'live';
end;

-- Tenants that have blobs of which it is to be looked whose they are.
create or replace function freehold.blobs_unowned() returns table (id text, name text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name from freehold.tenant t where t.state = 'active'
    and t.id in (select b.tenant_id from freehold.blob b where b.own_at <= now() and b.state = 'live') order by t.id;
end;

-- Takes some of a tenant's, page by page: nobody else gets them for a minute.
drop function if exists freehold.blobs_unowned_of(uuid, uuid, bigint);
create or replace function freehold.blobs_unowned_of(tenant uuid, after uuid, most bigint)
  returns table (id text, sealed text, key_subject text, key_class bigint, key_gen bigint, entity text, field text, row_id text, subject text)
  language sql volatile security definer
begin atomic
  with due as (
    select b.tenant_id, b.id from freehold.blob b
      where b.tenant_id = tenant and b.own_at <= now() and b.state = 'live' and (after is null or b.id > after)
      order by b.id limit most for update skip locked),
    taken as (
      update freehold.blob b set own_at = now() + interval '1 minute' from due d where b.tenant_id = d.tenant_id and b.id = d.id returning b.*)
    select b.id::text, encode(b.key, 'hex'), b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint, b.entity, b.field,
        b.row_id::text, b.subject::text
      from taken b order by b.id;
end;

-- Those that are this person's, or were, or of which nobody knows yet whose they are; also what a worker has taken.
create or replace function freehold.blobs_unowned_by(tenant uuid, person uuid, after uuid, most bigint)
  returns table (id text, sealed text, key_subject text, key_class bigint, key_gen bigint, entity text, field text, row_id text, subject text)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex'), b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint, b.entity, b.field,
      b.row_id::text, b.subject::text
    from freehold.blob b
    where b.tenant_id = tenant and b.own_at <= now() + interval '1 minute' and b.state = 'live' and (after is null or b.id > after)
      and (b.subject = person or b.key_subject = person or b.subject is null)
    order by b.id limit most;
end;

-- What the keys of these blobs are wrapped by.
create or replace function freehold.blob_keys_of(tenant uuid, wanted uuid[])
  returns table (id text, sealed text, key_subject text, key_class bigint, key_gen bigint)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex'), b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint
    from freehold.blob b where b.tenant_id = tenant and b.id = any (wanted) and b.state in ('pending', 'live');
end;

-- The keys of these blobs wrapped for these people, for the rows that are about to take them.
create or replace function freehold.blobs_offer(tenant uuid, ids uuid[], subjects uuid[], classes smallint[], gens smallint[], mades text[])
  returns void
  language sql volatile security definer
begin atomic
  insert into freehold.blob_offer as o (tenant_id, blob_id, subject, class, gen, wrapped)
    select b.tenant_id, b.id, m.subject, m.class, m.gen, decode(m.made, 'hex')
      from unnest(ids, subjects, classes, gens, mades) m (id, subject, class, gen, made)
      join freehold.blob b on b.tenant_id = tenant and b.id = m.id and b.state in ('pending', 'live') order by b.id
    on conflict (tenant_id, blob_id) do update set subject = excluded.subject, class = excluded.class, gen = excluded.gen, wrapped = excluded.wrapped,
      made_at = excluded.made_at;
end;

-- Whose these blobs are, and their keys wrapped for them: for the tenant, whose key is of generation `under`, where `subjects` has null.
-- A blob that was passed on meanwhile stays as it is, and so does a key where `mades` has null. False if the tenant's key is another by now.
create or replace function freehold.blobs_own(
  tenant uuid, under bigint, ids uuid[], befores text[], were uuid[], subjects uuid[], classes smallint[], gens smallint[], mades text[])
  returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from freehold.tenant_key k where k.tenant_id = tenant and k.gen = under for share;
  if not found then
    return false;
  end if;
  update freehold.blob b set subject = m.subject, subject_class = m.class, name = case when m.subject is null then b.name end, key = coalesce(decode(m.made, 'hex'), b.key), key_subject = m.subject,
      key_class = case when m.subject is not null then m.class end, key_subject_gen = m.gen,
      key_gen = case when m.subject is null and m.made is not null then under else b.key_gen end, own_at = null
    from unnest(ids, befores, were, subjects, classes, gens, mades) m (id, before, was, subject, class, gen, made)
    where b.tenant_id = tenant and b.id = m.id and b.key = decode(m.before, 'hex') and b.subject is not distinct from m.was;
  return true;
end $$;

-- These cannot be wrapped for whose they are: it is tried again in an hour.
create or replace function freehold.blobs_own_later(tenant uuid, ids uuid[]) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set own_at = now() + interval '1 hour' where b.tenant_id = tenant and b.id = any (ids) and b.own_at is not null;
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('blob_owned', 'blobs_to_own', 'blobs_unowned', 'blobs_unowned_of', 'blobs_unowned_by', 'blob_keys_of', 'blobs_offer', 'blobs_own', 'blobs_own_later')
  loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.blob_owned(uuid, uuid, uuid, smallint), freehold.blobs_to_own(text, text) to freehold_owner;
grant execute on function freehold.blobs_unowned(), freehold.blobs_unowned_of(uuid, uuid, bigint),
  freehold.blobs_unowned_by(uuid, uuid, uuid, bigint), freehold.blob_keys_of(uuid, uuid[]),
  freehold.blobs_offer(uuid, uuid[], uuid[], smallint[], smallint[], text[]),
  freehold.blobs_own(uuid, bigint, uuid[], text[], uuid[], uuid[], smallint[], smallint[], text[]),
  freehold.blobs_own_later(uuid, uuid[]) to freehold_control;

reset role;
