-- migrate:up
-- orchestration schema
CREATE SCHEMA orchestration;

-- Agent status
CREATE TABLE orchestration.agent_status (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  status VARCHAR(20) NOT NULL DEFAULT 'stopped',
  started_at TIMESTAMP WITH TIME ZONE,
  stopped_at TIMESTAMP WITH TIME ZONE,
  paused_at TIMESTAMP WITH TIME ZONE,
  resume_at TIMESTAMP WITH TIME ZONE,
  mode VARCHAR(20) DEFAULT 'normal',
  cycles_completed INTEGER DEFAULT 0,
  decisions_generated INTEGER DEFAULT 0,
  orders_executed INTEGER DEFAULT 0,
  errors_count INTEGER DEFAULT 0,
  last_error TEXT,
  last_error_at TIMESTAMP WITH TIME ZONE,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

-- Cycles
CREATE TABLE orchestration.cycles (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  type VARCHAR(20) NOT NULL,
  status VARCHAR(20) NOT NULL DEFAULT 'started',
  started_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  completed_at TIMESTAMP WITH TIME ZONE,
  duration_ms INTEGER,
  strategies_processed INTEGER DEFAULT 0,
  decisions_generated INTEGER DEFAULT 0,
  orders_submitted INTEGER DEFAULT 0,
  orders_filled INTEGER DEFAULT 0,
  errors JSONB DEFAULT '[]',
  metadata JSONB,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

-- Cycle logs
CREATE TABLE orchestration.cycle_logs (
  id BIGSERIAL PRIMARY KEY,
  cycle_id UUID REFERENCES orchestration.cycles(id),
  level VARCHAR(10) NOT NULL,
  message TEXT NOT NULL,
  context JSONB,
  timestamp TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

-- Strategy schedules
CREATE TABLE orchestration.strategy_schedules (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  strategy_id UUID NOT NULL,
  schedule_type VARCHAR(20) NOT NULL,  -- 'interval', 'cron', 'event'
  schedule_value VARCHAR(100) NOT NULL,
  enabled BOOLEAN DEFAULT TRUE,
  last_run_at TIMESTAMP WITH TIME ZONE,
  next_run_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

-- Indexes
CREATE INDEX idx_cycles_started ON orchestration.cycles(started_at);
CREATE INDEX idx_cycles_status ON orchestration.cycles(status);
CREATE INDEX idx_logs_cycle ON orchestration.cycle_logs(cycle_id);
CREATE INDEX idx_schedules_next ON orchestration.strategy_schedules(next_run_at) WHERE enabled = TRUE;

-- migrate:down
-- forward only: restore a backup instead
