-- migrate:up
-- One log entry names all steps that a commit of a saga takes ('saga.steps'); before, each step was
-- an entry of its own. The view shows single steps of both. Those of one commit share their `seq`;
-- `place` is their order in it.

create or replace view orchestration.saga_steps as
  select l.agent_id, l.seq, l.subject as saga_id, s.kind, l.actor, l.at, l.epoch, s.body, s.place
  from orchestration.journal_log l, lateral (
    select l.kind, l.body, 1::bigint as place where l.kind <> 'saga.steps'
    union all
    select 'saga.step', (step || (l.body::jsonb - 'steps' - 'fills'))::text, place
    from jsonb_array_elements(l.body::jsonb -> 'steps') with ordinality as e(step, place)
    where l.kind = 'saga.steps'
  ) s
  where l.kind like 'saga.%';

-- migrate:down
-- forward only: restore a backup instead
