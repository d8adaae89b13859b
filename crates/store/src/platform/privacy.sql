-- Personal data: which fields are sealed, the keys of people, legal holds, erasures and their receipts, and how often what was
-- opened. Values are sealed and opened by servers; nothing here can read one.
set local role freehold_gate;

-- Sealed fields have numbers, which their values are bound to; a name may change, and a number is nobody else's ever.
create table if not exists freehold.sealed_field (
  number integer generated always as identity primary key,
  entity text not null,
  field text not null,
  dropped_at timestamptz
);
create unique index if not exists sealed_field_name_idx on freehold.sealed_field (entity, field) where dropped_at is null;

-- A person's keys, wrapped by the tenant's. Class 0 seals what goes with the person, 1 what is kept for a duty, 2 is not a
-- person's but the tenant's secret of blind indexes. The nil subject has what belongs to nobody.
create table if not exists freehold.subject_key (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  subject uuid not null,
  class smallint not null check (class between 0 and 2),
  gen smallint not null default 0 check (gen between 0 and 255),
  wrapped bytea not null,
  state text not null default 'live' check (state in ('live', 'erasing')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, subject, class, gen)
);

-- Of which generation the tenant's key is that `wrapped` is wrapped by.
alter table freehold.subject_key add column if not exists wrap_gen integer not null default 0;

create table if not exists freehold.legal_hold (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  -- Null for all of the tenant.
  subject uuid,
  reason text not null check (reason <> ''),
  placed_at timestamptz not null default now(),
  placed_by text not null default session_user,
  until timestamptz,
  released_at timestamptz
);
create index if not exists legal_hold_idx on freehold.legal_hold (tenant_id, subject) where released_at is null;

-- Those that keep something now.
create or replace view freehold.hold_in_force as
  select h.id, h.tenant_id, h.subject from freehold.legal_hold h where h.released_at is null and (h.until is null or h.until > now());

-- Not bound to freehold.tenant: after a restore it says what has to be erased again, and its receipts outlive the tenant.
create table if not exists freehold.erasure (
  id uuid primary key,
  tenant_id uuid not null,
  entity text not null,
  subject uuid not null,
  state text not null default 'blocked' check (state in ('held', 'blocked', 'cleaned', 'shredded', 'ended')),
  counts jsonb not null default '{}',
  error text,
  requested_at timestamptz not null default now(),
  cleaned_at timestamptz,
  shredded_at timestamptz,
  ended_at timestamptz,
  -- When what is kept for a duty goes, too.
  kept_until timestamptz,
  unique (tenant_id, subject)
);

alter table freehold.erasure
  -- The epoch in which the keys were destroyed: backups that have them need its key, or an older one.
  add column if not exists epoch integer,
  -- When those were destroyed, too.
  add column if not exists unreadable_at timestamptz;

-- Rows that an erasure has dealt with, noted by the transactions that did, until its counts have them. Notes are only added, so that
-- nobody waits for another.
create table if not exists freehold.erasure_rows (
  tenant_id uuid not null,
  -- A restore may give an erasure the id that the ledger has for it.
  erasure_id uuid not null references freehold.erasure (id) on update cascade on delete cascade,
  entity text not null,
  how text not null,
  rows bigint not null check (rows > 0)
);
create index if not exists erasure_rows_idx on freehold.erasure_rows (erasure_id);

-- What was destroyed, without saying whose it was: each names the one before by its hash.
create table if not exists freehold.receipt (
  seq bigint primary key,
  tenant_id uuid not null,
  body text not null,
  hash bytea not null,
  signature text not null,
  at timestamptz not null default now()
);
create index if not exists receipt_tenant_idx on freehold.receipt (tenant_id);

create table if not exists freehold.opened (
  tenant_id uuid not null references freehold.tenant (id) on delete cascade,
  day date not null,
  entity text not null,
  field text not null,
  purpose text not null,
  opens bigint not null,
  primary key (tenant_id, day, entity, field, purpose)
);

do $$
declare
  walled text;
begin
  foreach walled in array array['subject_key', 'legal_hold', 'erasure', 'erasure_rows', 'receipt', 'opened'] loop
    execute format('alter table freehold.%I enable row level security', walled);
    execute format('drop policy if exists wall on freehold.%I', walled);
    execute format('create policy wall on freehold.%I as restrictive for all to public
      using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant())', walled);
  end loop;
end $$;

-- For apply: a field is sealed from now on; its number.
create or replace function freehold.field_sealed(of_entity text, of_field text) returns integer
  language sql volatile security definer
begin atomic
  insert into freehold.sealed_field (entity, field) values (of_entity, of_field)
    on conflict (entity, field) where dropped_at is null do update set field = excluded.field returning number;
end;

-- For apply: a field, or all of an entity, is gone.
create or replace function freehold.fields_unsealed(of_entity text, of_field text) returns void
  language sql volatile security definer
begin atomic
  update freehold.sealed_field s set dropped_at = now()
    where s.entity = of_entity and (of_field is null or s.field = of_field) and s.dropped_at is null;
end;

-- For apply: fields have other names. In two strides, because names may change places.
create or replace function freehold.sealed_renamed(entities text[], fields text[], entities_to text[], fields_to text[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  moved integer[];
begin
  select array_agg(s.number) into moved from unnest(entities, fields) r (entity, field)
    join freehold.sealed_field s on s.entity = r.entity and s.field = r.field and s.dropped_at is null;
  update freehold.sealed_field s set entity = r.entity_to || chr(1), field = r.field_to
    from unnest(entities, fields, entities_to, fields_to) r (entity, field, entity_to, field_to)
    where s.entity = r.entity and s.field = r.field and s.dropped_at is null;
  update freehold.sealed_field s set entity = left(s.entity, -1) where s.number = any (moved);
end $$;

create or replace function freehold.sealed_fields() returns table (number bigint, entity text, field text)
  language sql stable security definer
begin atomic
  select s.number::bigint, s.entity, s.field from freehold.sealed_field s where s.dropped_at is null;
end;

-- The wrapped keys of these people. Of whoever is being erased, none.
create or replace function freehold.subject_keys(tenant uuid, subjects uuid[])
  returns table (subject text, class bigint, gen bigint, wrapped text)
  language sql stable security definer
begin atomic
  select k.subject::text, k.class::bigint, k.gen::bigint, encode(k.wrapped, 'hex') from freehold.subject_key k
    where k.tenant_id = tenant and k.subject = any (subjects) and k.state = 'live' order by k.subject, k.class, k.gen;
end;

-- Keys for those who have none yet, or with `renew` another for those who have one. Nobody who is, or is being, erased gets
-- one again. False if the tenant's key is another by now.
drop function if exists freehold.subject_keys_make(uuid, uuid[], smallint[], text[]);
create or replace function freehold.subject_keys_make(tenant uuid, subjects uuid[], classes smallint[], made text[], by_gen bigint, renew boolean)
  returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A change of the tenant's key waits for this, or this for it.
  perform from freehold.tenant_key k where k.tenant_id = tenant and k.gen = by_gen for share;
  if not found then
    return false;
  end if;
  insert into freehold.subject_key (tenant_id, subject, class, gen, wrap_gen, wrapped)
    select t.id, m.subject, m.class, coalesce(case when renew then (select max(k.gen) + 1 from freehold.subject_key k
        where k.tenant_id = t.id and k.subject = m.subject and k.class = m.class) end, 0), by_gen, decode(m.wrapped, 'hex')
      from freehold.tenant t, unnest(subjects, classes, made) m (subject, class, wrapped)
      where t.id = tenant and t.state = 'active' and not exists
        (select from freehold.erasure e where e.tenant_id = tenant and e.subject = m.subject and e.state <> 'held')
      on conflict do nothing;
  if renew then
    -- Their blobs get the new one without being written again.
    update freehold.blob b set own_at = now() where b.tenant_id = tenant and b.key_subject = any (subjects) and b.state = 'live';
  end if;
  return true;
end $$;

-- Notes what was opened, by the day. Whoever reads does not wait for the disk.
create or replace function freehold.opened_add(tenant uuid, entities text[], fields text[], purposes text[], counts bigint[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  insert into freehold.opened as o (tenant_id, day, entity, field, purpose, opens)
    select t.id, (now() at time zone 'UTC')::date, m.entity, m.field, m.purpose, sum(m.opens)
      from freehold.tenant t, unnest(entities, fields, purposes, counts) m (entity, field, purpose, opens)
      where t.id = tenant group by t.id, m.entity, m.field, m.purpose
      order by m.entity, m.field, m.purpose
    on conflict (tenant_id, day, entity, field, purpose) do update set opens = o.opens + excluded.opens;
end $$;

-- The one gate that everything destructive passes: who is held is not deleted. For the triggers of tables, for erasures and
-- for what expires.
create or replace function freehold.refuse_held(tenant uuid, person uuid) returns void
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from freehold.hold_in_force h where h.tenant_id = tenant and (h.subject is null or h.subject = person)) then
    raise exception 'a legal hold keeps this row' using errcode = 'FH082';
  end if;
end $$;

-- Whom holds keep: people, or null for all of the tenant.
create or replace function freehold.held(tenant uuid) returns table (subject text)
  language sql stable security definer
begin atomic
  select h.subject::text from freehold.hold_in_force h where h.tenant_id = tenant;
end;

-- Trigger on freehold.tenant: a tenant of whom anything is held is neither deleted nor begins to be.
create or replace function freehold.tenant_held() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from freehold.held(old.id)) then
    raise exception 'a legal hold keeps this tenant' using errcode = 'FH082';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create or replace trigger held before delete on freehold.tenant for each row execute function freehold.tenant_held();
create or replace trigger held_from_now before update of state on freehold.tenant for each row
  when (new.state = 'deleting' and old.state <> 'deleting') execute function freehold.tenant_held();

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('field_sealed', 'fields_unsealed', 'sealed_renamed', 'sealed_fields', 'subject_keys', 'subject_keys_make',
      'opened_add', 'refuse_held', 'held', 'tenant_held')
  loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
grant execute on function freehold.field_sealed(text, text), freehold.fields_unsealed(text, text),
  freehold.sealed_renamed(text[], text[], text[], text[]), freehold.refuse_held(uuid, uuid) to freehold_owner;
grant execute on function freehold.sealed_fields(), freehold.subject_keys(uuid, uuid[]),
  freehold.subject_keys_make(uuid, uuid[], smallint[], text[], bigint, boolean), freehold.held(uuid),
  freehold.opened_add(uuid, text[], text[], text[], bigint[]) to freehold_control;

reset role;
