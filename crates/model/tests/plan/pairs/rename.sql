-- 1. rename person to human, human.handle to login, human.team to squad, note.author to writer, note.title to subject, note.meaning to embedding (additive)
-- servers that still have the old model fail until they have the new one
begin;
drop trigger "note~meaning~outdated" on app."note";
drop function freehold_shelf."note~meaning~outdated"();
drop trigger "note~meaning~due" on app."note";
alter table app."person" rename to "human";
alter table freehold_shelf."person~d" rename to "human~d";
alter table freehold_shelf."person~0" rename to "human~0";
alter table freehold_shelf."person~1" rename to "human~1";
alter table freehold_shelf."person~2" rename to "human~2";
alter table freehold_shelf."person~3" rename to "human~3";
alter table freehold_shelf."person~4" rename to "human~4";
alter table freehold_shelf."person~5" rename to "human~5";
alter table freehold_shelf."person~6" rename to "human~6";
alter table freehold_shelf."person~7" rename to "human~7";
alter table app."human" rename column "handle" to "login";
alter table app."human" rename column "handle~search" to "login~search";
alter table app."human" rename column "team" to "squad";
alter table app."human" rename constraint "person~handle~max_length" to "human~login~max_length";
alter table app."human" rename constraint "person~team~min" to "human~squad~min";
alter table app."human" rename constraint "person~boss~fk" to "human~boss~fk";
alter table app."note" rename column "author" to "writer";
alter table app."note" rename column "title" to "subject";
alter table app."note" rename column "meaning" to "embedding";
alter table app."note" rename constraint "note~author~fk" to "note~writer~fk";
alter index app."person~pkey" rename to "human~pkey";
alter index freehold_shelf."person~pkey~d" rename to "human~pkey~d";
alter index freehold_shelf."person~pkey~0" rename to "human~pkey~0";
alter index freehold_shelf."person~pkey~1" rename to "human~pkey~1";
alter index freehold_shelf."person~pkey~2" rename to "human~pkey~2";
alter index freehold_shelf."person~pkey~3" rename to "human~pkey~3";
alter index freehold_shelf."person~pkey~4" rename to "human~pkey~4";
alter index freehold_shelf."person~pkey~5" rename to "human~pkey~5";
alter index freehold_shelf."person~pkey~6" rename to "human~pkey~6";
alter index freehold_shelf."person~pkey~7" rename to "human~pkey~7";
alter index app."person~team~handle~key" rename to "human~squad~login~key";
alter index freehold_shelf."person~team~handle~key~d" rename to "human~squad~login~key~d";
alter index freehold_shelf."person~team~handle~key~0" rename to "human~squad~login~key~0";
alter index freehold_shelf."person~team~handle~key~1" rename to "human~squad~login~key~1";
alter index freehold_shelf."person~team~handle~key~2" rename to "human~squad~login~key~2";
alter index freehold_shelf."person~team~handle~key~3" rename to "human~squad~login~key~3";
alter index freehold_shelf."person~team~handle~key~4" rename to "human~squad~login~key~4";
alter index freehold_shelf."person~team~handle~key~5" rename to "human~squad~login~key~5";
alter index freehold_shelf."person~team~handle~key~6" rename to "human~squad~login~key~6";
alter index freehold_shelf."person~team~handle~key~7" rename to "human~squad~login~key~7";
alter index app."person~handle~idx" rename to "human~login~idx";
alter index freehold_shelf."person~handle~idx~d" rename to "human~login~idx~d";
alter index freehold_shelf."person~handle~idx~0" rename to "human~login~idx~0";
alter index freehold_shelf."person~handle~idx~1" rename to "human~login~idx~1";
alter index freehold_shelf."person~handle~idx~2" rename to "human~login~idx~2";
alter index freehold_shelf."person~handle~idx~3" rename to "human~login~idx~3";
alter index freehold_shelf."person~handle~idx~4" rename to "human~login~idx~4";
alter index freehold_shelf."person~handle~idx~5" rename to "human~login~idx~5";
alter index freehold_shelf."person~handle~idx~6" rename to "human~login~idx~6";
alter index freehold_shelf."person~handle~idx~7" rename to "human~login~idx~7";
alter index app."person~boss~idx" rename to "human~boss~idx";
alter index freehold_shelf."person~boss~idx~d" rename to "human~boss~idx~d";
alter index freehold_shelf."person~boss~idx~0" rename to "human~boss~idx~0";
alter index freehold_shelf."person~boss~idx~1" rename to "human~boss~idx~1";
alter index freehold_shelf."person~boss~idx~2" rename to "human~boss~idx~2";
alter index freehold_shelf."person~boss~idx~3" rename to "human~boss~idx~3";
alter index freehold_shelf."person~boss~idx~4" rename to "human~boss~idx~4";
alter index freehold_shelf."person~boss~idx~5" rename to "human~boss~idx~5";
alter index freehold_shelf."person~boss~idx~6" rename to "human~boss~idx~6";
alter index freehold_shelf."person~boss~idx~7" rename to "human~boss~idx~7";
alter index app."note~title~key" rename to "note~subject~key";
alter index freehold_shelf."note~title~key~d" rename to "note~subject~key~d";
alter index freehold_shelf."note~title~key~0" rename to "note~subject~key~0";
alter index freehold_shelf."note~title~key~1" rename to "note~subject~key~1";
alter index freehold_shelf."note~title~key~2" rename to "note~subject~key~2";
alter index freehold_shelf."note~title~key~3" rename to "note~subject~key~3";
alter index freehold_shelf."note~title~key~4" rename to "note~subject~key~4";
alter index freehold_shelf."note~title~key~5" rename to "note~subject~key~5";
alter index freehold_shelf."note~title~key~6" rename to "note~subject~key~6";
alter index freehold_shelf."note~title~key~7" rename to "note~subject~key~7";
alter index app."note~author~idx" rename to "note~writer~idx";
alter index freehold_shelf."note~author~idx~d" rename to "note~writer~idx~d";
alter index freehold_shelf."note~author~idx~0" rename to "note~writer~idx~0";
alter index freehold_shelf."note~author~idx~1" rename to "note~writer~idx~1";
alter index freehold_shelf."note~author~idx~2" rename to "note~writer~idx~2";
alter index freehold_shelf."note~author~idx~3" rename to "note~writer~idx~3";
alter index freehold_shelf."note~author~idx~4" rename to "note~writer~idx~4";
alter index freehold_shelf."note~author~idx~5" rename to "note~writer~idx~5";
alter index freehold_shelf."note~author~idx~6" rename to "note~writer~idx~6";
alter index freehold_shelf."note~author~idx~7" rename to "note~writer~idx~7";
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
create function freehold_shelf."note~embedding~outdated"() returns trigger language plpgsql as 'begin new."embedding" := null; return new; end';
create trigger "note~embedding~outdated" before update of "subject" on app."note" for each row
  when (row(old."subject") is distinct from row(new."subject") and old."embedding" operator(freehold_ext.=) new."embedding")
  execute function freehold_shelf."note~embedding~outdated"();
create trigger "note~embedding~due" after insert or update of "subject", "embedding" on app."note" for each row
  when (new."embedding" is null) execute function freehold.embedding_due('note', 'embedding');
commit;
