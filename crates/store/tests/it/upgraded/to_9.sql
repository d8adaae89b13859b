-- Takes a platform of version 10 back to what version 9 made, but for freehold.wall_faults(), which is made of the audit each time.
begin;
set local role freehold_gate;
drop function freehold.removal_permit(uuid), freehold.rows_removed(uuid, text, text, timestamptz, bigint),
  freehold.rows_erased(uuid, uuid, text, text, bigint), freehold.rows_unreceipted(boolean, bigint),
  freehold.rows_receipted(bigint[], uuid, bigint, text, text, text), freehold.receipt_restore(bigint, text, text, text);
drop table freehold.removal_permit, freehold.rows_gone, freehold.erasure_rows;

create function freehold.erasure_count(wanted uuid, what text, how text, rows bigint) returns void
  language sql volatile security definer
begin atomic
  update freehold.erasure e set counts = jsonb_set(
      case when e.counts ? what then e.counts else jsonb_set(e.counts, array[what], '{}') end, array[what, how],
      to_jsonb(coalesce((e.counts #>> array[what, how])::bigint, 0) + rows))
    where e.id = wanted and e.state = 'blocked';
end;

create or replace function freehold.erasure_cleaned(wanted uuid, kept jsonb) returns boolean
  language sql volatile security definer
begin atomic
  with done as (update freehold.erasure e set state = 'cleaned', cleaned_at = now(), error = null,
      counts = case when kept = '{}' then e.counts else e.counts || jsonb_build_object('kept', kept) end
    where e.id = wanted and e.state = 'blocked' returning 1)
  select exists (select from done);
end;
alter function freehold.erasure_cleaned(uuid, jsonb) reset all;

create function freehold.receipt_restore(number bigint, body text, hash text, signature text) returns boolean
  language sql volatile security definer
begin atomic
  insert into freehold.receipt (seq, tenant_id, body, hash, signature)
    values (number, coalesce((receipt_restore.body::jsonb ->> 'tenant')::uuid, '00000000-0000-0000-0000-000000000000'), receipt_restore.body,
      decode(receipt_restore.hash, 'hex'), receipt_restore.signature) on conflict do nothing;
  select exists (select from freehold.receipt r where r.seq = number and r.body = receipt_restore.body);
end;

revoke all on function freehold.erasure_count(uuid, text, text, bigint), freehold.receipt_restore(bigint, text, text, text) from public;
grant execute on function freehold.erasure_count(uuid, text, text, bigint), freehold.receipt_restore(bigint, text, text, text)
  to freehold_control;
update freehold.platform_version set version = 9;
commit;
