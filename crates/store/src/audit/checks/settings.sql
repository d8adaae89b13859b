-- FH-S01 log-writes-values severe managed: same
-- what: the server writes the parameters of every statement to its log
-- why: the log then holds the rows of all tenants, behind no wall
-- mend: alter system set log_parameter_max_length = 0; alter system set log_statement = 'none'; select pg_reload_conf()
select s.name, s.name || ' = ' || s.value || ', log_parameter_max_length = ' || l.value
  from setting s, setting l
  where l.name = 'log_parameter_max_length' and l.value <> '0'
    and (s.name = 'log_statement' and s.value = 'all' or s.name = 'log_min_duration_statement' and s.value = '0')

-- FH-S02 log-writes-some warning managed: same
-- what: the server writes some statements to its log whole, or the parameters of those that fail
-- why: `freehold sql` and other drivers write values into statements; parameters are rows
-- mend: alter system set log_parameter_max_length = 0; alter system set log_parameter_max_length_on_error = 0; alter system set log_statement = 'ddl'
select s.name, s.value from setting s
  where s.name = 'log_statement' and s.value in ('mod', 'all')
    or s.name in ('log_min_duration_statement', 'log_min_duration_sample') and s.value <> '-1'
    or s.name = 'log_transaction_sample_rate' and s.value <> '0'
    or s.name = 'log_parameter_max_length_on_error' and s.value <> '0'
    or s.name in ('debug_print_parse', 'debug_print_rewritten', 'debug_print_plan') and s.value = 'on'
    or s.name = 'auto_explain.log_min_duration' and s.value <> '-1'

-- FH-S03 weak-login error managed: no
-- what: a line of pg_hba.conf that lets somebody into this database without a password, or with one that can be overheard
-- why: whoever is in as an operator passes every wall; trust asks nothing, password and md5 can be replayed
-- mend: write scram-sha-256, peer or cert there; select pg_reload_conf()
select 'pg_hba.conf line ' || h.line_number, concat_ws(' ', h.type, array_to_string(h.database, ','), array_to_string(h.user_name, ','), h.address, h.auth_method)
  from pg_hba_file_rules h
  where h.auth_method in ('trust', 'password', 'md5', 'ident')
    and (h.database && array['all', 'sameuser', 'samerole', 'samegroup', current_database()::text] or h.database::text ~ '/')

-- FH-S04 no-tls error managed: no
-- what: the server listens beyond this machine without TLS
-- why: tokens and rows cross the network in clear
-- mend: alter system set ssl = on, with a certificate; or: alter system set listen_addresses = 'localhost'
select 'listen_addresses', a.value || ', ssl = off' from setting a join setting t on t.name = 'ssl' and t.value = 'off'
  where a.name = 'listen_addresses'
    and exists (select from unnest(string_to_array(replace(a.value, ' ', ''), ',')) one where one not in ('', 'localhost', '127.0.0.1', '::1'))

-- FH-S05 not-durable error managed: same
-- what: fsync or full_page_writes is off
-- why: after a crash rows are lost or mixed up, also those of revocations
-- mend: alter system set fsync = on; alter system set full_page_writes = on; select pg_reload_conf()
select s.name, s.value from setting s where s.name in ('fsync', 'full_page_writes') and s.value = 'off'

-- FH-S06 password-encryption warning managed: same
-- what: new passwords are kept as MD5
-- why: an MD5 hash is as good as the password
-- mend: alter system set password_encryption = 'scram-sha-256'; select pg_reload_conf()
select s.name, s.value from setting s where s.name = 'password_encryption' and s.value <> 'scram-sha-256'

-- FH-S07 server-settings error managed: same
-- what: a setting of the server by which triggers, references, checksums or the catalogue itself are no longer held to
-- why: the wall stands on them
-- mend: alter system reset <setting>; select pg_reload_conf()
select s.name, s.value from setting s
  where s.name = 'session_replication_role' and s.value <> 'origin' or s.name = 'row_security' and s.value = 'off'
    or s.name in ('allow_system_table_mods', 'ignore_system_indexes', 'zero_damaged_pages', 'ignore_checksum_failure', 'ignore_invalid_pages',
      'transform_null_equals', 'lo_compat_privileges', 'allow_in_place_tablespaces') and s.value = 'on'
    or s.name = 'standard_conforming_strings' and s.value = 'off'

-- FH-S08 prepared-transactions warning managed: same
-- what: two-phase commit is possible, or a prepared transaction waits
-- why: a transaction that one tenant prepared and left holds its locks for ever
-- mend: rollback prepared '<id>'; alter system set max_prepared_transactions = 0, and restart
select s.name, s.value from setting s where s.name = 'max_prepared_transactions' and s.value <> '0'
union all
select 'prepared transaction', x.gid from pg_prepared_xacts x where x.database = current_database()

-- FH-S09 replication warning managed: same
-- what: a publication, subscription or replication slot of this database
-- why: what leaves through them has passed no wall
-- mend: drop publication <publication>; select pg_drop_replication_slot('<slot>'); where it is wanted, look after who reads it
select 'publication ' || p.pubname, 'publishes tables of this database' from pg_publication p
union all
select 'subscription', count(*)::text from pg_stat_subscription having count(*) > 0
union all
select 'slot ' || s.slot_name, s.slot_type from pg_replication_slots s where s.database = current_database()

-- FH-S10 preloaded-library warning managed: same
-- what: a library that the server loads into every session
-- why: its code runs inside every tenant's session with the server's own rights
-- mend: alter system reset session_preload_libraries, local_preload_libraries; judge shared_preload_libraries one by one
select s.name, s.value from setting s where s.name in ('session_preload_libraries', 'local_preload_libraries') and s.value <> ''
union all
select s.name, one from setting s, unnest(string_to_array(replace(s.value, ' ', ''), ',')) one
  where s.name = 'shared_preload_libraries' and one not in ('', 'vector', 'pg_stat_statements', 'auto_explain', 'pgaudit')

-- FH-V01 server-version severe managed: same
-- what: a PostgreSQL with vulnerabilities that are known and mended in a later minor version
-- why: CVE-2026-6473 and ten more, mended in 18.4, 17.10, 16.14 and 15.18 of 2026-05-14: memory that any SQL can corrupt ends every guarantee
-- mend: install the newest minor version and restart the server
select 'PostgreSQL', 'this is ' || v.full_name from version v
  where v.number < 150018 or v.number between 160000 and 160013 or v.number between 170000 and 170009 or v.number between 180000 and 180003

-- FH-V02 pgvector-version severe managed: same
-- what: a pgvector older than 0.8.2
-- why: CVE-2026-3172: a parallel build of an HNSW index can read other relations or crash the server
-- mend: install pgvector 0.8.2 or newer on the server, then: alter extension vector update
select 'pgvector', 'this is ' || e.extversion from pg_extension e
  where e.extname = 'vector' and (select array_agg(substring(n from '^[0-9]+')::integer) from unnest(string_to_array(e.extversion, '.')) n) < array[0, 8, 2]

-- FH-V03 support-ends warning managed: same
-- what: a major version of PostgreSQL whose support has ended or ends within months
-- why: the next vulnerability is not mended there
-- mend: move to a newer major version with pg_upgrade, then: freehold apply
select 'PostgreSQL', 'this is ' || v.full_name || ', supported until ' || e.day
  from version v join (values (14, date '2026-11-12'), (15, date '2027-11-11'), (16, date '2028-11-09'), (17, date '2029-11-08'),
      (18, date '2030-11-14')) e (major, day) on e.major = v.number / 10000
  where e.day - 90 < current_date
