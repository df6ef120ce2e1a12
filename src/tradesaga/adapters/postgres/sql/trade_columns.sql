-- What `{trade}` stands for in the other files: a saga (s), its order (o), its reservation (r), busts.
s.id, s.agent_id, s.type, s.decision_id, s.strategy_id, s.cycle_id, s.symbol, s.created_at,
s.updated_at, s.deadline_at, s.status, s.cursor, s.attempt, s.due, s.pivoted, s.partial,
s.reason, s.version,
o.id, o.agent_id, o.saga_id, o.decision_id, o.strategy_id, o.cycle_id, o.leg, o.purpose,
o.client_order_id, o.symbol, o.side, o.quantity, o.type, o.limit_price, o.time_in_force,
o.opening, o.reference_price, o.expires_at, o.created_at, o.status, o.venue_order_id,
o.filled_quantity, o.filled_value, o.fees, o.sends, o.lookups, o.unknown_since,
o.cancel_wanted_at, o.cancel_requested_at, o.submitted_at, o.acked_at, o.ended_at, o.evidence,
o.version,
r.id, r.agent_id, r.saga_id, r.symbol, r.amount, r.created_at, r.consumed, r.released, r.state,
r.closed_at, r.version,
(select json_agg(v order by v.cumulative) from voids v where v.order_id = o.id) as voids
