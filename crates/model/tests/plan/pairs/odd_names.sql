-- 1. rename we"ird $$ \ ' to ta ble, äääääääääääääääääääääää to äääääääääääääääääääääääd, ta ble.a"b $$ '\ to c"d $$ '\ %s, ta ble.select to from, äääääääääääääääääääääääd.äääääääääääääääääääääää to äääääääääääääääääääääääe, äääääääääääääääääääääääd.äääääääääääääääääääääääb to äääääääääääääääääääääääf, äääääääääääääääääääääääd.äääääääääääääääääääääääc to äääääääääääääääääääääääg (additive)
-- servers that still have the old model fail until they have the new one
begin;
drop trigger "we""ird $$ \ '~select~outdated" on app."we""ird $$ \ '";
drop function freehold_shelf."we""ird $$ \ '~select~outdated"();
drop trigger "we""ird $$ \ '~select~due" on app."we""ird $$ \ '";
drop trigger "äääääääääääääääääää~09a6aa520b92" on app."äääääääääääääääääääääää";
drop function freehold_shelf."äääääääääääääääääää~09a6aa520b92"();
drop trigger "äääääääääääääääääää~a51c18c6d4e0" on app."äääääääääääääääääääääää";
alter table app."we""ird $$ \ '" rename to "ta ble";
alter table freehold_shelf."we""ird $$ \ '~d" rename to "ta ble~d";
alter table freehold_shelf."we""ird $$ \ '~0" rename to "ta ble~0";
alter table freehold_shelf."we""ird $$ \ '~1" rename to "ta ble~1";
alter table freehold_shelf."we""ird $$ \ '~2" rename to "ta ble~2";
alter table freehold_shelf."we""ird $$ \ '~3" rename to "ta ble~3";
alter table freehold_shelf."we""ird $$ \ '~4" rename to "ta ble~4";
alter table freehold_shelf."we""ird $$ \ '~5" rename to "ta ble~5";
alter table freehold_shelf."we""ird $$ \ '~6" rename to "ta ble~6";
alter table freehold_shelf."we""ird $$ \ '~7" rename to "ta ble~7";
alter table app."äääääääääääääääääääääää" rename to "äääääääääääääääääääääääd";
alter table freehold_shelf."äääääääääääääääääääääää~d" rename to "äääääääääääääääääääääääd~d";
alter table freehold_shelf."äääääääääääääääääääääää~0" rename to "äääääääääääääääääääääääd~0";
alter table freehold_shelf."äääääääääääääääääääääää~1" rename to "äääääääääääääääääääääääd~1";
alter table freehold_shelf."äääääääääääääääääääääää~2" rename to "äääääääääääääääääääääääd~2";
alter table freehold_shelf."äääääääääääääääääääääää~3" rename to "äääääääääääääääääääääääd~3";
alter table freehold_shelf."äääääääääääääääääääääää~4" rename to "äääääääääääääääääääääääd~4";
alter table freehold_shelf."äääääääääääääääääääääää~5" rename to "äääääääääääääääääääääääd~5";
alter table freehold_shelf."äääääääääääääääääääääää~6" rename to "äääääääääääääääääääääääd~6";
alter table freehold_shelf."äääääääääääääääääääääää~7" rename to "äääääääääääääääääääääääd~7";
alter table app."ta ble" rename column "a""b $$ '\" to "c""d $$ '\ %s";
alter table app."ta ble" rename column "a""b $$ '\~search" to "c""d $$ '\ %s~search";
alter table app."ta ble" rename column "select" to "from";
alter table app."ta ble" rename constraint "we""ird $$ \ '~a""b $$ '\~max_length" to "ta ble~c""d $$ '\ %s~max_length";
alter table app."äääääääääääääääääääääääd" rename column "äääääääääääääääääääääää" to "äääääääääääääääääääääääe";
alter table app."äääääääääääääääääääääääd" rename column "äääääääääääääääääääääääb" to "äääääääääääääääääääääääf";
alter table app."äääääääääääääääääääääääd" rename column "äääääääääääääääääääääääc" to "äääääääääääääääääääääääg";
alter table app."äääääääääääääääääääääääd" rename constraint "äääääääääääääääääää~e9011fb10006" to "äääääääääääääääääää~2ad469ca6edd";
alter table app."äääääääääääääääääääääääd" rename constraint "äääääääääääääääääää~25a7bb6fac70" to "äääääääääääääääääää~95bdad05bb34";
alter index app."we""ird $$ \ '~pkey" rename to "ta ble~pkey";
alter index freehold_shelf."we""ird $$ \ '~pkey~d" rename to "ta ble~pkey~d";
alter index freehold_shelf."we""ird $$ \ '~pkey~0" rename to "ta ble~pkey~0";
alter index freehold_shelf."we""ird $$ \ '~pkey~1" rename to "ta ble~pkey~1";
alter index freehold_shelf."we""ird $$ \ '~pkey~2" rename to "ta ble~pkey~2";
alter index freehold_shelf."we""ird $$ \ '~pkey~3" rename to "ta ble~pkey~3";
alter index freehold_shelf."we""ird $$ \ '~pkey~4" rename to "ta ble~pkey~4";
alter index freehold_shelf."we""ird $$ \ '~pkey~5" rename to "ta ble~pkey~5";
alter index freehold_shelf."we""ird $$ \ '~pkey~6" rename to "ta ble~pkey~6";
alter index freehold_shelf."we""ird $$ \ '~pkey~7" rename to "ta ble~pkey~7";
alter index app."äääääääääääääääääääääää~pkey" rename to "äääääääääääääääääääääääd~pkey";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~d" rename to "äääääääääääääääääääääääd~pkey~d";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~0" rename to "äääääääääääääääääääääääd~pkey~0";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~1" rename to "äääääääääääääääääääääääd~pkey~1";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~2" rename to "äääääääääääääääääääääääd~pkey~2";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~3" rename to "äääääääääääääääääääääääd~pkey~3";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~4" rename to "äääääääääääääääääääääääd~pkey~4";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~5" rename to "äääääääääääääääääääääääd~pkey~5";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~6" rename to "äääääääääääääääääääääääd~pkey~6";
alter index freehold_shelf."äääääääääääääääääääääää~pkey~7" rename to "äääääääääääääääääääääääd~pkey~7";
alter index app."we""ird $$ \ '~a""b $$ '\~key" rename to "ta ble~c""d $$ '\ %s~key";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~d" rename to "ta ble~c""d $$ '\ %s~key~d";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~0" rename to "ta ble~c""d $$ '\ %s~key~0";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~1" rename to "ta ble~c""d $$ '\ %s~key~1";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~2" rename to "ta ble~c""d $$ '\ %s~key~2";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~3" rename to "ta ble~c""d $$ '\ %s~key~3";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~4" rename to "ta ble~c""d $$ '\ %s~key~4";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~5" rename to "ta ble~c""d $$ '\ %s~key~5";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~6" rename to "ta ble~c""d $$ '\ %s~key~6";
alter index freehold_shelf."we""ird $$ \ '~a""b $$ '\~key~7" rename to "ta ble~c""d $$ '\ %s~key~7";
alter index app."äääääääääääääääääää~73013f20eafe" rename to "äääääääääääääääääää~541585f55f2b";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~d" rename to "äääääääääääääääääää~541585f55f2b~d";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~0" rename to "äääääääääääääääääää~541585f55f2b~0";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~1" rename to "äääääääääääääääääää~541585f55f2b~1";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~2" rename to "äääääääääääääääääää~541585f55f2b~2";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~3" rename to "äääääääääääääääääää~541585f55f2b~3";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~4" rename to "äääääääääääääääääää~541585f55f2b~4";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~5" rename to "äääääääääääääääääää~541585f55f2b~5";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~6" rename to "äääääääääääääääääää~541585f55f2b~6";
alter index freehold_shelf."äääääääääääääääääää~73013f20eafe~7" rename to "äääääääääääääääääää~541585f55f2b~7";
alter index app."äääääääääääääääääää~8d037034a4fe" rename to "äääääääääääääääääää~fe4cc880527a";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~d" rename to "äääääääääääääääääää~fe4cc880527a~d";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~0" rename to "äääääääääääääääääää~fe4cc880527a~0";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~1" rename to "äääääääääääääääääää~fe4cc880527a~1";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~2" rename to "äääääääääääääääääää~fe4cc880527a~2";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~3" rename to "äääääääääääääääääää~fe4cc880527a~3";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~4" rename to "äääääääääääääääääää~fe4cc880527a~4";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~5" rename to "äääääääääääääääääää~fe4cc880527a~5";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~6" rename to "äääääääääääääääääää~fe4cc880527a~6";
alter index freehold_shelf."äääääääääääääääääää~8d037034a4fe~7" rename to "äääääääääääääääääää~fe4cc880527a~7";
do $$
declare
  part record;
begin
  for part in
    with recursive piece (oid, conrelid, confrelid, conname, whole, home) as (
      select oid, conrelid, confrelid, conname, conname, conrelid from pg_catalog.pg_constraint
        where contype = 'f' and conparentid = 0 and connamespace in ('app'::regnamespace, 'freehold_shelf'::regnamespace)
      union all
      select c.oid, c.conrelid, c.confrelid, c.conname, piece.whole, piece.home
        from piece join pg_catalog.pg_constraint c on c.conparentid = piece.oid
    )
    select piece.conrelid::regclass as home, conname as old, named.new
      from piece join pg_catalog.pg_class referred on referred.oid = piece.confrelid,
        lateral (select case when piece.conrelid = piece.home and referred.relispartition
          then whole || '~' || split_part(referred.relname, '~', -1) else whole end) as named (new)
      where conname <> named.new
  loop
    execute format('alter table %s rename constraint %I to %I', part.home, part.old, part.new);
  end loop;
end $$;
create function freehold_shelf."ta ble~from~outdated"() returns trigger language plpgsql as 'begin new."from" := null; return new; end';
create trigger "ta ble~from~outdated" before update of "c""d $$ '\ %s" on app."ta ble" for each row
  when (row(old."c""d $$ '\ %s") is distinct from row(new."c""d $$ '\ %s") and old."from" operator(freehold_ext.=) new."from")
  execute function freehold_shelf."ta ble~from~outdated"();
create trigger "ta ble~from~due" after insert or update of "c""d $$ '\ %s", "from" on app."ta ble" for each row
  when (new."from" is null) execute function freehold.embedding_due('ta ble', 'from');
create function freehold_shelf."äääääääääääääääääää~cd0623f920f6"() returns trigger language plpgsql as 'begin new."äääääääääääääääääääääääg" := null; return new; end';
create trigger "äääääääääääääääääää~cd0623f920f6" before update of "äääääääääääääääääääääääe" on app."äääääääääääääääääääääääd" for each row
  when (row(old."äääääääääääääääääääääääe") is distinct from row(new."äääääääääääääääääääääääe") and old."äääääääääääääääääääääääg" operator(freehold_ext.=) new."äääääääääääääääääääääääg")
  execute function freehold_shelf."äääääääääääääääääää~cd0623f920f6"();
create trigger "äääääääääääääääääää~1e10503f6ffc" after insert or update of "äääääääääääääääääääääääe", "äääääääääääääääääääääääg" on app."äääääääääääääääääääääääd" for each row
  when (new."äääääääääääääääääääääääg" is null) execute function freehold.embedding_due('äääääääääääääääääääääääd', 'äääääääääääääääääääääääg');
commit;
