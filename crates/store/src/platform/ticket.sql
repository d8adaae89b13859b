-- Mode `ticket`, for servers on which nobody may grant a superuser's parameter: the tenant of a transaction stands in a
-- parameter that anybody can set, with a MAC that only the database can make and that fits this transaction of this backend
-- alone. freehold.tenant() checks it each time it is called: once per index scan, but once per row where a table is read
-- from end to end. Its cost is declared, so that the planner prefers an index.
set local role freehold_gate;

create or replace function freehold.ticket_mac(tenant text, ipad bytea, opad bytea) returns bytea
  language sql stable
  return sha256(opad || sha256(ipad || timestamptz_send(transaction_timestamp()) || convert_to(
    'ticket|' || pg_backend_pid() || '|' || current_database() || '|' || session_user || '|' || tenant, 'UTF8')));

create or replace function freehold.tenant() returns uuid
  language plpgsql stable parallel restricted security definer cost 2000 as $$
declare
  ticket text := pg_catalog.current_setting('freehold.ticket', true);
  authentic boolean;
begin
  select freehold.ticket_mac(pg_catalog.left(ticket, 32), k.ipad, k.opad) operator(pg_catalog.=) pg_catalog.decode(pg_catalog.substr(ticket, 33), 'hex')
    into authentic from freehold.mac_key k where k.kid operator(pg_catalog.=) 0::pg_catalog.int2;
  if authentic then
    return pg_catalog.left(ticket, 32)::pg_catalog.uuid;
  end if;
  raise exception 'no tenant in this transaction' using errcode = '28000';
end $$;

create or replace function freehold.seal(tenant uuid) returns text
  language sql volatile
begin atomic
  select set_config('freehold.ticket', hex || encode(freehold.ticket_mac(hex, k.ipad, k.opad), 'hex'), true)
    from (select replace(tenant::text, '-', '') as hex) one, freehold.mac_key k where k.kid = 0::smallint;
end;

create or replace procedure freehold.open(
  kid smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea)
  language plpgsql security definer as $$
declare
  inner_pad bytea;
  outer_pad bytea;
begin
  select k.ipad, k.opad into inner_pad, outer_pad
    from freehold.mac_key k, freehold.tenant t
    where k.kid operator(pg_catalog.=) open.kid and k.kid operator(pg_catalog.>) 0::pg_catalog.int2
      and t.id operator(pg_catalog.=) open.tenant and t.state operator(pg_catalog.=) 'active'
      and freehold.vouched(open.tenant, open.principal)
      and not exists (select from pg_catalog.pg_prepared_statement() where from_sql)
      and not exists (select from pg_catalog.pg_cursor() where is_holdable);
  if freehold.genuine(tenant, principal, expiry, nonce, mac, inner_pad, outer_pad)
    and coalesce(pg_catalog.current_setting('freehold.ticket', true), '') operator(pg_catalog.=) ''
    and freehold.seal(tenant) operator(pg_catalog.<>) ''
  then
    return;
  end if;
  call freehold.refuse(kid, tenant, principal, expiry, nonce, mac);
end $$;

reset role;
