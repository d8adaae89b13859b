-- FH-D01 personal-vector-open note managed: same
-- what: vectors of personal data that are kept in the open
-- why: from a vector most of the text that it was made from can be told, by whoever reads the table, a replica, WAL or a backup
-- mend: stored = "derived" or "sealed" in the model, or stand by the reason: it is in the register and in every receipt of an erasure
select v.field, v.why from unnest({vectors}, {reasons}) v (field, why)
  where exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'app' and c.relname = split_part(v.field, '.', 1) and a.attname = split_part(v.field, '.', 2))

-- FH-D02 copy-logged error managed: same
-- what: a part of a copy of sealed vectors that is logged
-- why: a copy holds the vectors as they are, and is made of unlogged tables so that they are in no WAL, no backup and on no replica
-- mend: alter table <partition> set unlogged
select c.oid::regclass::text, 'of the copy ' || v.name
  from unnest({copies}) v (name) join pg_class r on r.relname = v.name and r.relnamespace = (select oid from home where name = 'app')
    cross join pg_partition_tree(r.oid) p join pg_class c on c.oid = p.relid and c.relkind = 'r' and c.relpersistence <> 'u'
