-- Erasing a person, step by step: held or blocked, cleaned, shredded, ended. Each step is one statement that does nothing if it
-- was done before, so whoever takes an erasure up goes on where it is. The rows are deleted inside the tenant's wall, not here.
set local role freehold_gate;

-- Begins, or takes up: from now on nobody opens what is theirs or writes about them. While they are held it only stands there.
create or replace function freehold.erasure_begin(tenant uuid, wanted uuid, of_entity text, person uuid)
  returns table (id text, state text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  e freehold.erasure;
  kept boolean := exists (select from freehold.held(tenant) h where h.subject is null or h.subject = person::text);
begin
  -- A hold that is being placed waits for this, or this for it.
  perform from freehold.tenant t where t.id = tenant for update;
  insert into freehold.erasure as x (id, tenant_id, entity, subject, state) values (wanted, tenant, of_entity, person, case when kept then 'held' else 'blocked' end)
    on conflict (tenant_id, subject) do update set state = case when x.state <> 'held' then x.state when kept then 'held' else 'blocked' end
    returning * into e;
  if e.state = 'blocked' then
    update freehold.subject_key k set state = 'erasing' where k.tenant_id = tenant and k.subject = person and k.class = 0;
  end if;
  if e.state in ('blocked', 'cleaned', 'shredded') then
    perform freehold.enqueue('erase', tenant, e.id::text, jsonb_build_object('subject', person, 'entity', of_entity), interval '5 s', null);
  end if;
  return query select e.id::text, e.state;
end $$;

drop function if exists freehold.erasure_of(uuid);
create or replace function freehold.erasure_of(wanted uuid)
  returns table (id text, tenant text, entity text, subject text, state text, counts text, requested_at text, cleaned_at text, shredded_at text,
    epoch bigint)
  language sql stable security definer
begin atomic
  select e.id::text, e.tenant_id::text, e.entity, e.subject::text, e.state, e.counts::text, to_json(e.requested_at at time zone 'UTC') #>> '{}' || 'Z',
      to_json(e.cleaned_at at time zone 'UTC') #>> '{}' || 'Z', to_json(e.shredded_at at time zone 'UTC') #>> '{}' || 'Z', e.epoch::bigint
    from freehold.erasure e where e.id = wanted;
end;

drop function if exists freehold.erasures(bigint);
create or replace function freehold.erasures(most bigint)
  returns table (id text, tenant text, entity text, state text, requested_at text, ended_at text, error text, unreadable_at text)
  language sql stable security definer
begin atomic
  select e.id::text, coalesce(t.name, e.tenant_id::text), e.entity, e.state, to_json(e.requested_at at time zone 'UTC') #>> '{}' || 'Z',
      to_json(e.ended_at at time zone 'UTC') #>> '{}' || 'Z', e.error, to_json(e.unreadable_at at time zone 'UTC') #>> '{}' || 'Z'
    from freehold.erasure e left join freehold.tenant t on t.id = e.tenant_id order by e.requested_at desc limit most;
end;

drop function if exists freehold.erasure_count(uuid, text, text, bigint);

-- Nothing of theirs is left where it should not be: its counts are whole.
create or replace function freehold.erasure_cleaned(wanted uuid, kept jsonb) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  done jsonb;
  noted record;
begin
  select e.counts into done from freehold.erasure e where e.id = wanted and e.state = 'blocked' for update;
  if not found then
    return false;
  end if;
  -- Added to what an older version of the platform has counted.
  for noted in
    with gone as (delete from freehold.erasure_rows r where r.erasure_id = wanted returning r.entity, r.how, r.rows)
    select g.entity, g.how, sum(g.rows)::bigint as rows from gone g group by g.entity, g.how
  loop
    done := done || jsonb_build_object(noted.entity, coalesce(done -> noted.entity, '{}')
      || jsonb_build_object(noted.how, coalesce((done #>> array[noted.entity, noted.how])::bigint, 0) + noted.rows));
  end loop;
  update freehold.erasure e set state = 'cleaned', cleaned_at = now(), error = null,
      counts = done || case when kept = '{}' then kept else jsonb_build_object('kept', kept) end
    where e.id = wanted;
  return true;
end $$;

create or replace function freehold.erasure_failed(wanted uuid, why text) returns void
  language sql volatile security definer
begin atomic
  update freehold.erasure e set error = left(why, 1000) where e.id = wanted;
end;

-- Backups have the keys that are about to be destroyed, and the tenant's that opens them, under this epoch or an older one.
create or replace function freehold.key_spent(e freehold.erasure) returns void
  language sql volatile security definer
begin atomic
  update freehold.tenant_key k set spent = true where k.tenant_id = e.tenant_id;
  update freehold.keystore set spent_at = coalesce(spent_at, now());
  update freehold.erasure x set epoch = (select k.epoch from freehold.keystore k), unreadable_at = null where x.id = e.id;
end;

-- Theirs whose key was not wrapped by theirs yet, or is wrapped by that of whose they were before, go the same way; and offers by
-- theirs, and of theirs, that no row took.
create or replace function freehold.blobs_shut(e freehold.erasure, kept boolean) returns void
  language sql volatile security definer
begin atomic
  delete from freehold.blob_offer o where o.tenant_id = e.tenant_id
    and (o.subject = e.subject or o.blob_id in (select b.id from freehold.blob b where b.tenant_id = e.tenant_id and b.subject = e.subject));
  update freehold.blob b set key = '', own_at = null where b.tenant_id = e.tenant_id and b.subject = e.subject
    and (b.key_subject, b.key_class) is distinct from (b.subject, b.subject_class) and (kept or b.subject_class = 0);
end;

-- Destroys their keys: that of what is kept only when its time is over, for which a job is left behind.
create or replace function freehold.erasure_shred(wanted uuid, keep interval) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  e freehold.erasure;
begin
  update freehold.erasure x set state = 'shredded', shredded_at = now(), kept_until = now() + keep
    where x.id = wanted and x.state = 'cleaned' returning * into e;
  if not found then
    return false;
  end if;
  perform freehold.key_spent(e);
  delete from freehold.subject_key k where k.tenant_id = e.tenant_id and k.subject = e.subject and (k.class = 0 or keep is null);
  perform freehold.blobs_shut(e, keep is null);
  if keep is not null then
    perform freehold.enqueue('erase_kept', e.tenant_id, e.id::text, '{}', keep, null);
  end if;
  return true;
end $$;

-- What was kept goes, too.
create or replace function freehold.erasure_kept_over(wanted uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  e freehold.erasure;
begin
  select * into e from freehold.erasure x where x.id = wanted and x.kept_until <= now()
    and (exists (select from freehold.subject_key k where k.tenant_id = x.tenant_id and k.subject = x.subject)
      or exists (select from freehold.blob b where b.tenant_id = x.tenant_id and b.subject = x.subject and b.key <> ''));
  if not found then
    return false;
  end if;
  perform freehold.key_spent(e);
  delete from freehold.subject_key k where k.tenant_id = e.tenant_id and k.subject = e.subject;
  perform freehold.blobs_shut(e, true);
  return true;
end $$;

-- The receipt that the next one has to name.
create or replace function freehold.receipt_last() returns table (seq bigint, hash text)
  language sql stable security definer
begin atomic
  select r.seq, encode(r.hash, 'hex') from freehold.receipt r order by r.seq desc limit 1;
end;

-- Ends it with its receipt. False if another receipt came between, or it has ended already.
create or replace function freehold.erasure_end(wanted uuid, number bigint, of_tenant uuid, body text, hash text, signature text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update freehold.erasure e set state = 'ended', ended_at = now() where e.id = wanted and e.state = 'shredded';
  if not found then
    return false;
  end if;
  insert into freehold.receipt (seq, tenant_id, body, hash, signature) values (number, of_tenant, erasure_end.body, decode(erasure_end.hash, 'hex'), erasure_end.signature);
  return true;
exception when unique_violation then
  return false;
end $$;

create or replace function freehold.receipts(after bigint, most bigint) returns table (seq bigint, body text, hash text, signature text)
  language sql stable security definer
begin atomic
  select r.seq, r.body, encode(r.hash, 'hex'), r.signature from freehold.receipt r where r.seq > after order by r.seq limit most;
end;

create or replace function freehold.hold_place(tenant uuid, person uuid, why text, ends timestamptz) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  made uuid;
begin
  perform from freehold.tenant t where t.id = tenant for update;
  insert into freehold.legal_hold (tenant_id, subject, reason, until) values (tenant, person, why, ends) returning id into made;
  return made;
end $$;

-- Ends a hold. Erasures that it held up go on now.
create or replace function freehold.hold_release(wanted uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  h freehold.legal_hold;
begin
  update freehold.legal_hold x set released_at = now() where x.id = wanted and x.released_at is null returning * into h;
  if not found then
    return false;
  end if;
  update freehold.expiry x set next_at = now() where x.tenant_id = h.tenant_id;
  perform freehold.enqueue('erase', e.tenant_id, e.id::text, jsonb_build_object('subject', e.subject, 'entity', e.entity), '0', null)
    from freehold.erasure e where e.tenant_id = h.tenant_id and e.state = 'held' and (h.subject is null or e.subject = h.subject);
  return true;
end $$;

drop function if exists freehold.holds(uuid);
create or replace function freehold.holds(wanted uuid)
  returns table (id text, tenant text, subject text, reason text, placed_at text, placed_by text, until text, released_at text, in_force boolean)
  language sql stable security definer
begin atomic
  select h.id::text, t.name, h.subject::text, h.reason, to_json(h.placed_at at time zone 'UTC') #>> '{}' || 'Z', h.placed_by,
      to_json(h.until at time zone 'UTC') #>> '{}' || 'Z', to_json(h.released_at at time zone 'UTC') #>> '{}' || 'Z',
      exists (select from freehold.hold_in_force f where f.id = h.id)
    from freehold.legal_hold h join freehold.tenant t on t.id = h.tenant_id where wanted is null or t.id = wanted order by h.placed_at;
end;

-- Tenants that can be worked in, for what expires.
create or replace function freehold.tenants_active() returns table (id text, name text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name from freehold.tenant t where t.state = 'active' order by t.id;
end;

-- When each tenant is to be asked next for rows that are over: when its next row will be, as far as is known, and within the
-- hour, for rows may come that are over sooner. Of a tenant that is not here nothing is known.
create table if not exists freehold.expiry (
  tenant_id uuid primary key references freehold.tenant (id) on delete cascade,
  model bigint not null,
  next_at timestamptz not null
);
alter table freehold.expiry enable row level security;
drop policy if exists wall on freehold.expiry;
create policy wall on freehold.expiry as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());

-- Tenants that may have rows that are over by this version of the model.
create or replace function freehold.expiry_due(of_model bigint) returns table (id text, name text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name from freehold.tenant t left join freehold.expiry x on x.tenant_id = t.id
    where t.state = 'active' and (x.next_at is null or x.next_at <= now() or x.model <> of_model) order by x.next_at nulls first, t.id;
end;

-- Everything that is over has been removed, or is held; the next row will be in so many seconds.
create or replace function freehold.expiry_done(tenant uuid, of_model bigint, next_s bigint) returns void
  language sql volatile security definer
begin atomic
  insert into freehold.expiry (tenant_id, model, next_at)
    select t.id, of_model, now() + make_interval(secs => least(greatest(next_s, 0), 3600)) from freehold.tenant t where t.id = tenant
    on conflict (tenant_id) do update set model = excluded.model, next_at = excluded.next_at;
end;

-- For how long the tenant waits that should have been asked first, and how many do.
create or replace function freehold.expiry_lag() returns table (tenants bigint, lag_ms bigint)
  language sql stable security definer
begin atomic
  select count(*), coalesce((extract(epoch from now() - min(x.next_at)) * 1000)::bigint, 0)
    from freehold.expiry x join freehold.tenant t on t.id = x.tenant_id where t.state = 'active' and x.next_at <= now();
end;

-- How often fields were opened in the last so many days, of all tenants together.
create or replace function freehold.opened_since(days integer) returns table (entity text, field text, purpose text, opens bigint)
  language sql stable security definer
begin atomic
  select o.entity, o.field, o.purpose, sum(o.opens)::bigint from freehold.opened o
    where o.day > (now() at time zone 'UTC')::date - days group by o.entity, o.field, o.purpose;
end;

-- Erasures by their states, holds in force, people with keys, and the day of the oldest key.
create or replace function freehold.privacy_totals() returns table (erasures text, holds bigint, people bigint, oldest text)
  language sql stable security definer
begin atomic
  select coalesce((select jsonb_object_agg(e.state, e.n) from (select x.state, count(*) as n from freehold.erasure x group by x.state) e), '{}')::text,
    (select count(*) from freehold.hold_in_force),
    (select count(distinct (k.tenant_id, k.subject)) from freehold.subject_key k where k.class < 2),
    (select min(k.created_at at time zone 'UTC')::date::text from freehold.subject_key k);
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and (proname like 'erasure%' or proname like 'expiry%' or proname in ('receipt_last', 'receipts', 'hold_place', 'hold_release', 'holds', 'tenants_active', 'opened_since', 'privacy_totals'))
  loop
    execute format('revoke all on routine %s from public', routine);
    execute format('grant execute on routine %s to freehold_control', routine);
  end loop;
end $$;
revoke all on function freehold.key_spent(freehold.erasure), freehold.blobs_shut(freehold.erasure, boolean) from public;

reset role;
