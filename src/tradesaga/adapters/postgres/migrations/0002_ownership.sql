-- migrate:up
-- Whose rows these are, and who may write them.

create table orchestration.agents (
  id uuid primary key,
  name text not null,
  created_at timestamp with time zone not null default now()
);

-- One row per agent, id = agents.id: the specification's columns, the counters among them.
alter table orchestration.agent_status
  add column pause_reasons text[] not null default '{}',
  add column version bigint not null default 1 check (version >= 1);
alter table orchestration.agent_status set (fillfactor = 50);

-- Where the agent's log ends. Every batch swaps this row: fence, gapless sequence, and proof of
-- what was committed when a connection is lost. `prev` is the seq that the last batch began after.
create table orchestration.heads (
  agent_id uuid primary key,
  epoch bigint not null check (epoch >= 0),
  seq bigint not null default 0 check (seq >= 0),
  hash bytea not null default decode(repeat('00', 32), 'hex') check (octet_length(hash) = 32),
  prev bigint not null default 0 check (prev <= seq)
) with (fillfactor = 10);

-- Who may act. A released lease has no holder.
create table orchestration.leases (
  agent_id uuid primary key,
  holder text,
  epoch bigint not null check (epoch >= 1),
  expires_at timestamp with time zone not null,
  taken_at timestamp with time zone not null
) with (fillfactor = 10);

create view orchestration.checkpoints as
  select agent_id, epoch, seq, hash from orchestration.heads;

-- migrate:down
-- forward only: restore a backup instead
