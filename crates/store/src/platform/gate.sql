-- The gate: what is the same in both modes. search_path is pg_catalog while this runs, and SQL-standard bodies are bound to
-- what it finds now, so that no caller's search_path can change their meaning.
set local role freehold_gate;

drop procedure if exists freehold.refuse(text);
drop function if exists freehold.genuine(text, bytea, bytea);
drop procedure if exists freehold.open(smallint, uuid, uuid, bigint, bigint, bytea);
drop procedure if exists freehold.refuse(smallint, uuid, uuid, bigint, bigint, bytea);
drop function if exists freehold.genuine(uuid, uuid, bigint, bigint, bytea, bytea, bytea);
drop function if exists freehold.vouched(uuid, uuid);

-- Whether the token was signed for this backend, database, login and minute. Inlined where it is called. Both sides are
-- hashed again, so that the time of the comparison says nothing about the MAC.
create or replace function freehold.genuine(
  role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea, ipad bytea, opad bytea) returns boolean
  language sql volatile
  return sha256(mac) = sha256(sha256(opad || sha256(ipad || int2send(role) || uuid_send(tenant) || uuid_send(principal) || int8send(expiry)
      || int8send(nonce) || int4send(pg_backend_pid()) || namesend(current_database()) || '\x00'::bytea || namesend(session_user))))
    and to_timestamp(expiry) between clock_timestamp() and clock_timestamp() + interval '60 s';

-- Whether the token was made without an API key, or with one that is this tenant's, still counts and has this role or a
-- stronger one. Inlined, too.
create or replace function freehold.vouched(tenant uuid, principal uuid, role smallint) returns boolean
  language sql stable
  return principal = '00000000-0000-0000-0000-000000000000'::uuid
    or exists (select from freehold.api_key k where k.id = principal and k.tenant_id = tenant and k.role >= vouched.role and k.revoked_at is null
      and (k.expires_at is null or k.expires_at > now()));

-- Says why a token was not taken; to those only who hold a genuine one.
create or replace procedure freehold.refuse(
  kid smallint, role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea)
  language plpgsql as $$
declare
  found_state text;
  authentic boolean;
begin
  select freehold.genuine(role, tenant, principal, expiry, nonce, mac, k.ipad, k.opad) into authentic
    from freehold.mac_key k
    where k.kid operator(pg_catalog.=) refuse.kid and k.kid operator(pg_catalog.>) 0::pg_catalog.int2;
  if authentic then
    select t.state into found_state from freehold.tenant t where t.id operator(pg_catalog.=) refuse.tenant;
    if found_state is null then
      raise exception 'no such tenant' using errcode = 'FH001';
    elsif found_state operator(pg_catalog.<>) 'active' then
      raise exception 'tenant is %', found_state using errcode = 'FH002';
    elsif not freehold.vouched(tenant, principal, role) then
      raise exception 'API key is revoked or expired' using errcode = 'FH003';
    end if;
    raise log 'freehold: backend % is not clean, or its transaction has a tenant already', pg_catalog.pg_backend_pid();
  else
    raise log 'freehold: token refused in backend %', pg_catalog.pg_backend_pid();
  end if;
  raise exception 'tenant context refused' using errcode = '28000';
end $$;

-- The same token as one text, for drivers: `v3.<kid 4>.<role 4>.<tenant 32>.<principal 32>.<expiry 16>.<nonce 16>.<mac 64>`,
-- hexadecimal digits all.
create or replace procedure freehold.open(token text)
  language plpgsql security definer as $$
begin
  if token is null or token operator(pg_catalog.!~) '^v3[.]0[0-9a-f]{3}[.]0[0-9a-f]{3}[.][0-9a-f]{32}[.][0-9a-f]{32}[.][0-9a-f]{16}[.][0-9a-f]{16}[.][0-9a-f]{64}$' then
    raise exception 'tenant context refused' using errcode = '28000';
  end if;
  call freehold.open(
    ('x' operator(pg_catalog.||) pg_catalog.substr(token, 4, 4))::pg_catalog.bit(16)::pg_catalog.int4::pg_catalog.int2,
    ('x' operator(pg_catalog.||) pg_catalog.substr(token, 9, 4))::pg_catalog.bit(16)::pg_catalog.int4::pg_catalog.int2,
    pg_catalog.substr(token, 14, 32)::pg_catalog.uuid,
    pg_catalog.substr(token, 47, 32)::pg_catalog.uuid,
    ('x' operator(pg_catalog.||) pg_catalog.substr(token, 80, 16))::pg_catalog.bit(64)::pg_catalog.int8,
    ('x' operator(pg_catalog.||) pg_catalog.substr(token, 97, 16))::pg_catalog.bit(64)::pg_catalog.int8,
    pg_catalog.decode(pg_catalog.substr(token, 114), 'hex'));
end $$;

grant execute on function freehold.tenant(), freehold.uuidv7() to freehold_app, freehold_owner;
grant execute on procedure freehold.open(text), freehold.open(smallint, smallint, uuid, uuid, bigint, bigint, bytea) to freehold_app;
-- Requests without a key: servers sign tokens of role 1 alone for this login, and its grants are all it may read.
grant execute on function freehold.tenant() to freehold_anonymous;
grant execute on procedure freehold.open(smallint, smallint, uuid, uuid, bigint, bigint, bytea) to freehold_anonymous;

reset role;
