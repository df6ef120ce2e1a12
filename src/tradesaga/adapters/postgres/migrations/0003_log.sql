-- migrate:up
-- One append-only row is audit entry, step record and, with an event, outbox row at once.

create table orchestration.journal_log (
  agent_id uuid not null,
  seq bigint not null check (seq >= 1),
  at timestamp with time zone not null,
  epoch bigint not null,
  kind text not null,
  subject text not null,
  actor text not null,
  body text not null,
  event_type text,
  event_id uuid,
  event_payload text,
  correlation_id text,
  causation_id text,
  -- sha256 of the hash before, and of all columns above
  hash bytea not null check (octet_length(hash) = 32),
  primary key (agent_id, seq),
  check ((event_type is null) = (event_id is null)),
  check ((event_type is null) = (event_payload is null))
);

create index journal_log_events on orchestration.journal_log (agent_id, seq)
  where event_type is not null;

-- The relay's progress: all events up to `seq` are on the stream, whose sequence was `stream_seq`.
create table orchestration.relay_marks (
  agent_id uuid not null,
  seq bigint not null,
  stream_seq bigint not null,
  at timestamp with time zone not null,
  primary key (agent_id, seq)
);

create view orchestration.relay_cursor as
  select distinct on (agent_id) agent_id, seq, stream_seq, at
  from orchestration.relay_marks
  order by agent_id, seq desc;

create view orchestration.audit_log as
  select
    l.agent_id, l.seq, l.at, l.epoch, l.kind, l.subject, l.actor, l.body, l.hash,
    coalesce(p.hash, decode(repeat('00', 32), 'hex')) as prev_hash
  from orchestration.journal_log l
  left join orchestration.journal_log p on p.agent_id = l.agent_id and p.seq = l.seq - 1;

create view orchestration.saga_steps as
  select agent_id, seq, subject as saga_id, kind, actor, at, epoch, body
  from orchestration.journal_log
  where kind like 'saga.%';

-- `stream_seq` is the stream's sequence of the batch that carried the row: an upper bound.
create view orchestration.outbox as
  select
    l.agent_id, l.seq, l.event_id, l.event_type as type, l.event_payload as payload,
    l.correlation_id, l.causation_id, l.subject, l.at, m.at as published_at, m.stream_seq
  from orchestration.journal_log l
  left join lateral (
    select r.at, r.stream_seq from orchestration.relay_marks r
    where r.agent_id = l.agent_id and r.seq >= l.seq
    order by r.seq limit 1
  ) m on true
  where l.event_type is not null;

-- migrate:down
-- forward only: restore a backup instead
