-- migrate:up
-- What stands on the degradation ladder, and the equities that losses are measured from: one row
-- an agent each, written through the rare rows of `apply`.

create table orchestration.ladders (
  id uuid primary key references orchestration.agents,
  agent_id uuid not null,
  updated_at timestamptz not null,
  reasons jsonb not null,
  version bigint not null,
  check (agent_id = id)
);

create table orchestration.equity_marks (
  id uuid primary key references orchestration.agents,
  agent_id uuid not null,
  session_at timestamptz not null,
  session_equity numeric not null check (session_equity > 0),
  peak_equity numeric not null check (peak_equity > 0),
  updated_at timestamptz not null,
  version bigint not null,
  check (agent_id = id)
);

-- migrate:down
-- forward only: restore a backup instead
