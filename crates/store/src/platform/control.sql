-- What servers ask in their own name, as freehold_control: never what a tenant's statement could ask.
set local role freehold_gate;

drop function if exists freehold.platform();
create or replace function freehold.platform() returns table (version bigint, mode text, locked boolean, server bigint, server_version text, pgvector text)
  language sql stable security definer
begin atomic
  select p.version::bigint, p.mode, p.locked, current_setting('server_version_num')::bigint, current_setting('server_version'),
      (select e.extversion from pg_extension e where e.extname = 'vector')
    from freehold.platform_version p order by p.version desc limit 1;
end;

create or replace function freehold.tenant_named(wanted text) returns table (id text, name text, state text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, t.state from freehold.tenant t where t.name = wanted;
end;

-- By its id, else by its name, as claims of tokens give it.
create or replace function freehold.tenant_known(wanted text) returns table (id text, name text, state text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, t.state from freehold.tenant t where t.id::text = wanted or t.name = wanted
    order by t.id::text = wanted desc limit 1;
end;

drop function if exists freehold.key_holder(text);
create or replace function freehold.key_holder(digest text) returns table (id text, name text, state text, key text, role bigint, scope text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, t.state, k.id::text, k.role::bigint, array_to_string(k.scope, ',') from freehold.api_key k join freehold.tenant t on t.id = k.tenant_id
  where k.hash = decode(digest, 'hex') and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
end;

create or replace function freehold.current_model() returns table (version bigint, text text)
  language sql stable security definer
begin atomic
  select m.version, m.text from freehold.model_version m order by m.version desc limit 1;
end;

create or replace function freehold.due() returns table (id text, name text, entity text, field text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, d.entity, d.field from freehold.embedding_due d join freehold.tenant t on t.id = d.tenant_id
  where t.state = 'active' group by t.id, t.name, d.entity, d.field order by min(d.since) limit 1000;
end;

-- What a running server looks at each second. The number of rows stands beside the newest, because transactions end in
-- another order than they take numbers.
create or replace function freehold.pulse() returns table (model bigint, ddl text)
  language sql stable security definer
begin atomic
  select (select max(m.version) from freehold.model_version m),
    (select concat(count(*), '/', max(l.n)) from freehold.ddl_log l);
end;

-- What an admin does with the keys of their tenant. Each asks anew whether the tenant is active and the admin's own key,
-- if it is a key, still counts; where it does not, there is nothing to see and nothing is done.
drop function if exists freehold.keys_of(uuid, uuid);
create or replace function freehold.keys_of(tenant uuid, principal uuid)
  returns table (prefix text, name text, role bigint, created_at text, expires_at text, revoked_at text, scope text)
  language sql stable security definer
begin atomic
  select k.prefix, k.name, k.role::bigint, to_char(k.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      to_char(k.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(k.revoked_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      array_to_string(k.scope, ',')
    from freehold.tenant t join freehold.api_key k on k.tenant_id = t.id
    where t.id = tenant and t.state = 'active' and freehold.vouched(tenant, principal, 3::smallint)
    order by k.created_at, k.prefix limit 1000;
end;

drop function if exists freehold.add_key(uuid, uuid, text, text, text, integer, bigint);
create or replace function freehold.add_key(tenant uuid, principal uuid, digest text, prefix text, called text, role integer, seconds bigint, scope text)
  returns table (made text)
  language sql volatile security definer
begin atomic
  insert into freehold.api_key (hash, tenant_id, name, prefix, role, expires_at, scope)
    select decode(digest, 'hex'), t.id, called, add_key.prefix, add_key.role::smallint, now() + seconds * interval '1 s', string_to_array(add_key.scope, ',')
    from freehold.tenant t
    where t.id = tenant and t.state = 'active' and freehold.vouched(tenant, principal, 3::smallint)
      and (select count(*) from freehold.api_key k where k.tenant_id = t.id) < 1000
    returning api_key.prefix;
end;

create or replace function freehold.end_key(tenant uuid, principal uuid, which text) returns table (ended text)
  language sql volatile security definer
begin atomic
  update freehold.api_key k set revoked_at = coalesce(k.revoked_at, now())
    from freehold.tenant t
    where t.id = tenant and k.tenant_id = t.id and k.prefix = which and t.state = 'active'
      and freehold.vouched(tenant, principal, 3::smallint)
    returning k.prefix;
end;

-- Trigger: notes that a vector is to be made. Arguments: entity, field.
create or replace function freehold.embedding_due() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.embedding_due (tenant_id, entity, field) values (freehold.tenant(), tg_argv[0], tg_argv[1])
    on conflict do nothing;
  return null;
end $$;

do $$
declare
  routine regprocedure;
begin
  for routine in select oid from pg_proc where pronamespace = 'freehold'::regnamespace and proowner = 'freehold_gate'::regrole loop
    execute format('revoke all on routine %s from public', routine);
  end loop;
end $$;
revoke all on function freehold.platform(), freehold.tenant_named(text), freehold.key_holder(text), freehold.current_model(), freehold.due()
  from freehold_app;
grant execute on function freehold.platform(), freehold.tenant_named(text), freehold.key_holder(text), freehold.current_model(), freehold.due(),
  freehold.pulse(), freehold.tenant_known(text), freehold.keys_of(uuid, uuid),
  freehold.add_key(uuid, uuid, text, text, text, integer, bigint, text), freehold.end_key(uuid, uuid, text) to freehold_control;
grant execute on function freehold.embedding_due() to freehold_owner;

-- Not forced: the functions above belong to the table's owner and see all tenants.
alter table freehold.embedding_due enable row level security;
drop policy if exists wall on freehold.embedding_due;
drop policy if exists use on freehold.embedding_due;
create policy wall on freehold.embedding_due as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on freehold.embedding_due as permissive for all to freehold_app using (true) with check (true);
revoke all on freehold.embedding_due from freehold_app;
grant select (tenant_id, entity, field, xact, since), delete on freehold.embedding_due to freehold_app;

reset role;
