-- Mode `ticket`, for servers on which nobody may grant a superuser's parameter: the tenant of a transaction stands in a
-- parameter that anybody can set, with a MAC that only the database can make and that fits this transaction of this backend
-- alone. freehold.tenant() checks it each time it is called: once per index scan, but once per row where a table is read
-- from end to end. It says whether its holder is a reader, `r`, or not, `w`; a reader's counts while the transaction is read
-- only, which SQL can undo by the end of a subtransaction alone. Its cost is declared, so that the planner prefers an index.
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
  select freehold.ticket_mac(pg_catalog.left(ticket, 33), k.ipad, k.opad) operator(pg_catalog.=) pg_catalog.decode(pg_catalog.substr(ticket, 34), 'hex')
    into authentic from freehold.mac_key k where k.kid operator(pg_catalog.=) 0::pg_catalog.int2;
  if authentic and (pg_catalog.substr(ticket, 33, 1) operator(pg_catalog.=) 'w'
    or pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on')
  then
    return pg_catalog.left(ticket, 32)::pg_catalog.uuid;
  end if;
  raise exception 'no tenant in this transaction' using errcode = '28000';
end $$;

create or replace function freehold.ticket(tenant uuid, holder text) returns text
  language sql volatile
begin atomic
  select set_config('freehold.ticket', whose || encode(freehold.ticket_mac(whose, k.ipad, k.opad), 'hex'), true)
    from (select replace(tenant::text, '-', '') || holder as whose) one, freehold.mac_key k where k.kid = 0::smallint;
end;

create or replace function freehold.seal(tenant uuid) returns text
  language sql volatile
  return freehold.ticket(tenant, 'w');

create or replace procedure freehold.open(
  kid smallint, role smallint, tenant uuid, principal uuid, expiry bigint, nonce bigint, mac bytea)
  language plpgsql security definer as $$
declare
  inner_pad bytea;
  outer_pad bytea;
begin
  select k.ipad, k.opad into inner_pad, outer_pad
    from freehold.mac_key k, freehold.tenant t
    where k.kid operator(pg_catalog.=) open.kid and k.kid operator(pg_catalog.>) 0::pg_catalog.int2
      and t.id operator(pg_catalog.=) open.tenant and t.state operator(pg_catalog.=) 'active'
      and freehold.vouched(open.tenant, open.principal, open.role)
      and not exists (select from pg_catalog.pg_prepared_statement() where from_sql)
      and not exists (select from pg_catalog.pg_cursor() where is_holdable);
  if freehold.genuine(role, tenant, principal, expiry, nonce, mac, inner_pad, outer_pad)
    and coalesce(pg_catalog.current_setting('freehold.ticket', true), '') operator(pg_catalog.=) ''
    and (role operator(pg_catalog.<>) 1::pg_catalog.int2
      or pg_catalog.set_config('transaction_read_only', 'on', true) operator(pg_catalog.=) 'on')
    and freehold.ticket(tenant, case role when 1 then 'r' else 'w' end) operator(pg_catalog.<>) ''
  then
    return;
  end if;
  call freehold.refuse(kid, role, tenant, principal, expiry, nonce, mac);
end $$;

reset role;
