-- Changing keys: the epoch's, a tenant's. No row of a tenant is touched: keys are wrapped anew, some thousand at a time, and
-- each statement does nothing if it was done before. The keys themselves are in servers; here are wrapped ones.
set local role freehold_gate;

create or replace function freehold.keystore_of() returns table (id text, epoch bigint, spent_s bigint)
  language sql stable security definer
begin atomic
  select k.id::text, k.epoch::bigint, extract(epoch from now() - k.spent_at)::bigint from freehold.keystore k;
end;

-- From now on tenants' keys are wrapped under this epoch, and under no older one. What is destroyed from here on is another
-- epoch's business. Waits for whoever makes a tenant's key.
create or replace function freehold.epoch_begin(wanted bigint) returns void
  language sql volatile security definer
begin atomic
  update freehold.keystore set epoch = wanted, spent_at = null where epoch < wanted;
end;

-- Tenants, or one, whose key is not under the epoch, or is being replaced.
create or replace function freehold.tenant_keys_waiting(only_of uuid, most bigint)
  returns table (tenant text, gen bigint, epoch bigint, wrapped text, spent boolean, old_epoch bigint, old_wrapped text)
  language sql stable security definer
begin atomic
  select k.tenant_id::text, k.gen::bigint, k.epoch::bigint, encode(k.wrapped, 'hex'), k.spent, k.old_epoch::bigint, encode(k.old_wrapped, 'hex')
    from freehold.tenant_key k, freehold.keystore e where (k.epoch < e.epoch or k.old_wrapped is not null)
      and (only_of is null or k.tenant_id = only_of)
    order by k.old_wrapped is null, k.tenant_id limit most;
end;

-- The same key under the epoch; not one that is spent.
create or replace function freehold.tenant_key_rewrap(tenant uuid, before text, made text, under bigint) returns boolean
  language sql volatile security definer
begin atomic
  with done as (update freehold.tenant_key k set wrapped = decode(made, 'hex'), epoch = under
    where k.tenant_id = tenant and k.wrapped = decode(before, 'hex') and not k.spent and k.old_wrapped is null
      and under = (select e.epoch from freehold.keystore e) returning 1)
  select exists (select from done);
end;

-- Another key in place of this generation's, which stays beside it until nothing is under it any more.
create or replace function freehold.tenant_key_replace(tenant uuid, of_gen bigint, made text, under bigint) returns boolean
  language sql volatile security definer
begin atomic
  with done as (update freehold.tenant_key k set old_wrapped = k.wrapped, old_epoch = k.epoch, wrapped = decode(made, 'hex'), epoch = under,
      gen = k.gen + 1, spent = false
    where k.tenant_id = tenant and k.gen = of_gen and k.old_wrapped is null
      and under = (select e.epoch from freehold.keystore e) returning 1)
  select exists (select from done);
end;

-- Keys that are still under the generation before, by person, from behind one.
create or replace function freehold.subject_keys_waiting(tenant uuid, after uuid, after_class bigint, after_gen bigint, most bigint)
  returns table (subject text, class bigint, gen bigint, wrapped text)
  language sql stable security definer
begin atomic
  select s.subject::text, s.class::bigint, s.gen::bigint, encode(s.wrapped, 'hex')
    from freehold.subject_key s join freehold.tenant_key k on k.tenant_id = s.tenant_id
    where s.tenant_id = tenant and s.wrap_gen < k.gen and (s.subject, s.class, s.gen) > (after, after_class::smallint, after_gen::smallint)
    order by s.subject, s.class, s.gen limit most;
end;

-- Those are under generation `under` now, as far as nobody has changed them meanwhile.
create or replace function freehold.subject_keys_moved(
  tenant uuid, under bigint, subjects uuid[], classes smallint[], gens smallint[], befores text[], mades text[]) returns void
  language sql volatile security definer
begin atomic
  update freehold.subject_key s set wrapped = decode(m.made, 'hex'), wrap_gen = under
    from unnest(subjects, classes, gens, befores, mades) m (subject, class, gen, before, made)
    where s.tenant_id = tenant and s.subject = m.subject and s.class = m.class and s.gen = m.gen and s.wrapped = decode(m.before, 'hex');
end;

create or replace function freehold.blob_keys_waiting(tenant uuid, after uuid, most bigint) returns table (id text, wrapped text)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex') from freehold.blob b join freehold.tenant_key k on k.tenant_id = b.tenant_id
    where b.tenant_id = tenant and b.key_subject is null and b.key_gen < k.gen and b.id > after order by b.id limit most;
end;

create or replace function freehold.blob_keys_moved(tenant uuid, under bigint, ids uuid[], befores text[], mades text[]) returns void
  language sql volatile security definer
begin atomic
  update freehold.blob b set key = decode(m.made, 'hex'), key_gen = under
    from unnest(ids, befores, mades) m (id, before, made)
    where b.tenant_id = tenant and b.id = m.id and b.key = decode(m.before, 'hex') and b.key_subject is null;
end;

-- The generation before goes if nothing is under it any more.
create or replace function freehold.tenant_key_settle(tenant uuid, of_gen bigint) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from freehold.tenant_key k where k.tenant_id = tenant and k.gen = of_gen for update;
  if exists (select from freehold.subject_key s where s.tenant_id = tenant and s.wrap_gen <> of_gen)
    or exists (select from freehold.blob b where b.tenant_id = tenant and b.key_subject is null and b.key_gen <> of_gen) then
    return false;
  end if;
  update freehold.tenant_key k set old_wrapped = null, old_epoch = null where k.tenant_id = tenant and k.gen = of_gen;
  return true;
end $$;

-- Erasures whose keys are in backups under epochs that end when `live` is the oldest. What was destroyed before there was a
-- keystore is under a key made of the root key, and not among them.
create or replace function freehold.epoch_ends(live bigint) returns table (id text)
  language sql stable security definer
begin atomic
  select e.id::text from freehold.erasure e
    where e.epoch > 0 and e.epoch < live and e.shredded_at is not null and e.unreadable_at is null order by e.id;
end;

-- Those epochs' keys are destroyed, and this is the receipt. False if another receipt took its number.
create or replace function freehold.epoch_ended(erasures uuid[], number bigint, body text, hash text, signature text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update freehold.erasure e set unreadable_at = now() where e.id = any (erasures) and e.unreadable_at is null;
  if not found then
    return true;
  end if;
  insert into freehold.receipt (seq, tenant_id, body, hash, signature) values (number, '00000000-0000-0000-0000-000000000000', epoch_ended.body,
    decode(epoch_ended.hash, 'hex'), epoch_ended.signature);
  return true;
exception when unique_violation then
  return false;
end $$;

-- All wrapped keys, page by page, for whoever keeps them elsewhere.
create or replace function freehold.tenant_keys_all(after uuid, most bigint)
  returns table (tenant text, folder text, gen bigint, epoch bigint, wrapped text, spent boolean, old_epoch bigint, old_wrapped text)
  language sql stable security definer
begin atomic
  select k.tenant_id::text, k.folder::text, k.gen::bigint, k.epoch::bigint, encode(k.wrapped, 'hex'), k.spent, k.old_epoch::bigint, encode(k.old_wrapped, 'hex')
    from freehold.tenant_key k where k.tenant_id > after order by k.tenant_id limit most;
end;

create or replace function freehold.subject_keys_all(tenant uuid, after uuid, after_class bigint, after_gen bigint, most bigint)
  returns table (subject text, class bigint, gen bigint, wrapped text, wrap_gen bigint, state text)
  language sql stable security definer
begin atomic
  select s.subject::text, s.class::bigint, s.gen::bigint, encode(s.wrapped, 'hex'), s.wrap_gen::bigint, s.state from freehold.subject_key s
    where s.tenant_id = tenant and (s.subject, s.class, s.gen) > (after, after_class::smallint, after_gen::smallint)
    order by s.subject, s.class, s.gen limit most;
end;

-- With what those that are wrapped by a person's key are wrapped by.
drop function if exists freehold.blob_keys_all(uuid, uuid, bigint);
create or replace function freehold.blob_keys_all(tenant uuid, after uuid, most bigint)
  returns table (id text, wrapped text, key_gen bigint, subject text, class bigint, gen bigint, subject_wrapped text)
  language sql stable security definer
begin atomic
  select b.id::text, encode(b.key, 'hex'), b.key_gen::bigint, b.key_subject::text, b.key_class::bigint, b.key_subject_gen::bigint, encode(s.wrapped, 'hex')
    from freehold.blob b left join freehold.subject_key s
      on s.tenant_id = b.tenant_id and s.subject = b.key_subject and s.class = b.key_class and s.gen = b.key_subject_gen
    where b.tenant_id = tenant and b.id > after order by b.id limit most;
end;

-- Of these erasures, those that this database does not know, or knows as not begun.
create or replace function freehold.erasures_unknown(ids uuid[]) returns table (id text)
  language sql stable security definer
begin atomic
  select u.id::text from unnest(ids) u (id) where not exists (select from freehold.erasure e where e.id = u.id and e.state <> 'held');
end;

-- Of tenants that were deleted, those that this database has and does not know to be: it is from before that.
create or replace function freehold.tenants_back(ids uuid[]) returns table (id text)
  language sql stable security definer
begin atomic
  select t.id::text from freehold.tenant t where t.id = any (ids) and t.state <> 'deleting';
end;

-- Nobody opens the tenant again. Its name, by which its rows are deleted.
create or replace function freehold.tenant_close(wanted uuid) returns text
  language sql volatile security definer
begin atomic
  update freehold.tenant t set state = 'deleting' where t.id = wanted returning t.name;
end;

-- Begins an erasure of the ledger again. False if there is no such tenant any more, or will not be: then it has ended.
create or replace function freehold.erasure_again(tenant uuid, wanted uuid, of_entity text, person uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from freehold.tenant t where t.id = tenant and t.state <> 'deleting') then
    -- The one that the database had of this person is the one of the ledger, or one that it has not got to.
    update freehold.erasure e set id = wanted where e.tenant_id = tenant and e.subject = person and e.id <> wanted;
    perform from freehold.erasure_begin(tenant, wanted, of_entity, person);
    return true;
  end if;
  update freehold.erasure e set id = wanted, state = 'ended', ended_at = now() where e.tenant_id = tenant and e.subject = person;
  insert into freehold.erasure (id, tenant_id, entity, subject, state, ended_at) values (wanted, tenant, of_entity, person, 'ended', now())
    on conflict do nothing;
  return false;
end $$;

-- A receipt that was given out and that this database does not have. False if it has another of this number. What a backup has noted
-- for it is not receipted again.
create or replace function freehold.receipt_restore(number bigint, body text, hash text, signature text) returns boolean
  language sql volatile security definer
begin atomic
  with made as (insert into freehold.receipt (seq, tenant_id, body, hash, signature)
    values (number, coalesce((receipt_restore.body::jsonb ->> 'tenant')::uuid, '00000000-0000-0000-0000-000000000000'), receipt_restore.body,
      decode(receipt_restore.hash, 'hex'), receipt_restore.signature) on conflict do nothing returning tenant_id, receipt_restore.body::jsonb -> 'expired' as about)
  delete from freehold.rows_gone g using made m where g.tenant_id = m.tenant_id and g.entity = m.about ->> 'entity' and g.rule = m.about ->> 'rule'
    and g.at between (m.about ->> 'first')::timestamptz and (m.about ->> 'last')::timestamptz;
  select exists (select from freehold.receipt r where r.seq = number and r.body = receipt_restore.body);
end;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole
    and proname in ('keystore_of', 'epoch_begin', 'epoch_ends', 'epoch_ended', 'tenant_keys_waiting', 'tenant_key_rewrap', 'tenant_key_replace',
      'tenant_key_settle', 'tenant_keys_all', 'subject_keys_waiting', 'subject_keys_moved', 'subject_keys_all', 'blob_keys_waiting',
      'blob_keys_moved', 'blob_keys_all', 'erasures_unknown', 'erasure_again', 'receipt_restore', 'tenants_back', 'tenant_close')
  loop
    execute format('revoke all on routine %s from public', routine);
    execute format('grant execute on routine %s to freehold_control', routine);
  end loop;
end $$;

reset role;
