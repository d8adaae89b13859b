-- Before PostgreSQL 18: a random UUID of version 4 whose first 48 bits become the time in milliseconds and whose version
-- becomes 7 (bits 52 and 53 are those in which 0100 and 0111 differ).
set local role freehold_gate;
create or replace function freehold.uuidv7() returns uuid language sql volatile parallel safe
  return encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid;
reset role;
