-- Begins a transaction with the tenant in :tenant open. `\ir open.sql` wherever one begins.
begin;
select pg_backend_pid() as pid \gset
\set token `freehold token --tenant :'tenant' --backend :pid`
call freehold.open(:'token');
