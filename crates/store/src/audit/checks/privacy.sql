-- FH-D01 personal-vector-open note managed: same
-- what: vectors of personal data that are kept in the open
-- why: from a vector most of the text that it was made from can be told, by whoever reads the table, a replica, WAL or a backup
-- mend: stored = "sealed" in the model, or stand by the reason: it is in the register and in every receipt of an erasure
select v.field, v.why from unnest({vectors}, {reasons}) v (field, why)
  where exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'app' and c.relname = split_part(v.field, '.', 1) and a.attname = split_part(v.field, '.', 2))
