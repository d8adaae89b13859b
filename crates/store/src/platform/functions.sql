-- Functions that are the same in both modes. search_path is pg_catalog while this runs, and SQL-standard bodies are
-- bound to what it finds now, so that no caller's search_path can change their meaning.
set local role freehold_gate;

-- Whether the token was signed for this database, login, backend and minute. The fields after the MAC are read only
-- when it is right. Both sides are hashed again, so that the time of the comparison says nothing about the MAC.
create or replace function freehold.genuine(token text, ipad bytea, opad bytea) returns boolean
  language sql volatile
  return sha256(decode(substr(token, 114), 'hex'))
      = sha256(sha256(opad || sha256(ipad || convert_to(
          'freehold|' || current_database() || '|' || session_user || '|' || left(token, 112), 'UTF8'))))
    and substr(token, 86, 10)::integer = pg_backend_pid()
    and to_timestamp(substr(token, 75, 10)::double precision)
      between clock_timestamp() and clock_timestamp() + interval '60 s';

-- Says why a token was not taken; to those only who hold a genuine one.
create or replace procedure freehold.refuse(token text)
  language plpgsql as $$
declare
  found_state text;
  authentic boolean;
begin
  select freehold.genuine(token, k.ipad, k.opad) into authentic
    from freehold.mac_key k where k.kid = pg_catalog.substr(token, 4, 4)::pg_catalog.int2;
  if authentic then
    select t.state into found_state from freehold.tenant t where t.id = pg_catalog.substr(token, 9, 32)::pg_catalog.uuid;
    if found_state is null then
      raise exception 'no such tenant' using errcode = 'FH001';
    elsif found_state <> 'active' then
      raise exception 'tenant is %', found_state using errcode = 'FH002';
    end if;
    raise log 'freehold: backend % is not clean, or its transaction has a tenant already', pg_catalog.pg_backend_pid();
  else
    raise log 'freehold: token refused in backend %', pg_catalog.pg_backend_pid();
  end if;
  raise exception 'tenant context refused' using errcode = '28000';
end $$;

create or replace function freehold.platform() returns table (version bigint, mode text)
  language sql stable security definer
begin atomic
  select p.version::bigint, p.mode from freehold.platform_version p order by p.version desc limit 1;
end;

create or replace function freehold.tenant_named(wanted text) returns table (id text, name text, state text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, t.state from freehold.tenant t where t.name = wanted;
end;

create or replace function freehold.key_holder(digest text) returns table (id text, name text, state text)
  language sql stable security definer
begin atomic
  select t.id::text, t.name, t.state from freehold.api_key k join freehold.tenant t on t.id = k.tenant_id
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

-- Trigger: notes that a vector is to be made. Arguments: entity, field.
create or replace function freehold.embedding_due() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into freehold.embedding_due (tenant_id, entity, field) values (freehold.tenant(), tg_argv[0], tg_argv[1])
    on conflict do nothing;
  return null;
end $$;

revoke all on all functions in schema freehold from public;
revoke all on all procedures in schema freehold from public;
grant execute on function freehold.tenant() to freehold_app, freehold_owner;
grant execute on function freehold.uuidv7() to freehold_app, freehold_owner;
grant execute on function freehold.embedding_due() to freehold_owner;
grant execute on procedure freehold.open(text) to freehold_app;
grant execute on function freehold.platform(), freehold.tenant_named(text), freehold.key_holder(text), freehold.current_model(), freehold.due()
  to freehold_app;

-- Not forced: the functions above belong to the table's owner and see all tenants.
alter table freehold.embedding_due enable row level security;
drop policy if exists wall on freehold.embedding_due;
drop policy if exists use on freehold.embedding_due;
create policy wall on freehold.embedding_due as restrictive for all to public
  using (tenant_id = freehold.tenant()) with check (tenant_id = freehold.tenant());
create policy use on freehold.embedding_due as permissive for all to freehold_app using (true) with check (true);
grant select, delete on freehold.embedding_due to freehold_app;

reset role;
