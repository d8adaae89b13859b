-- Mode `seal`: the tenant of a transaction stands in backtrace_functions, a parameter that only superusers and, by grant,
-- freehold_gate may set, and that has no effect unless a C function of that name reports an error. It is set for the
-- transaction alone. Without a tenant it is empty, and the cast fails.
set local role freehold_gate;

create or replace function freehold.tenant() returns uuid
  language sql stable parallel safe
  return current_setting('backtrace_functions')::uuid;

-- The operator's way in: needs the right to set the parameter, which freehold_gate alone has.
create or replace function freehold.seal(tenant uuid) returns text
  language sql volatile
  return set_config('backtrace_functions', replace(tenant::text, '-', ''), true);

-- One statement, because the start of an executor costs more than all checks together; CALL, because it is not planned.
-- A backend with a statement prepared in SQL or a cursor held open by SQL is refused: with either, whoever had the
-- backend before could act in the next tenant's name.
create or replace procedure freehold.open(token text)
  language plpgsql security definer as $$
declare
  sealed text;
begin
  select case
      when freehold.genuine(token, k.ipad, k.opad)
        and pg_catalog.current_setting('backtrace_functions') operator(pg_catalog.=) ''
        and not exists (select from pg_catalog.pg_prepared_statement() where from_sql)
        and not exists (select from pg_catalog.pg_cursor() where is_holdable)
      then pg_catalog.set_config('backtrace_functions', pg_catalog.substr(token, 9, 32), true)
    end into sealed
    from freehold.mac_key k, freehold.tenant t
    where k.kid operator(pg_catalog.=) pg_catalog.substr(token, 4, 4)::pg_catalog.int2
      and k.kid operator(pg_catalog.>) 0::pg_catalog.int2
      and t.id operator(pg_catalog.=) pg_catalog.substr(token, 9, 32)::pg_catalog.uuid
      and t.state operator(pg_catalog.=) 'active';
  if sealed is null then
    call freehold.refuse(token);
  end if;
end $$;

reset role;
