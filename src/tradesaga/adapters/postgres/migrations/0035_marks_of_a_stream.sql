-- migrate:up
-- A stream that is another one numbers anew: marks of the relay before `after_seq` bear numbers of
-- a former stream, and say nothing about this one.

alter table orchestration.relay_streams add column after_seq bigint not null default 0;

-- migrate:down
-- forward only: restore a backup instead
