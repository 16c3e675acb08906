-- The five resources. What a decision under concurrency rests on stands on the row that the
-- deciding statement locks: at READ COMMITTED only that row is read again after a wait, everything
-- else comes from the statement's snapshot.
--
-- Text that is sorted or compared by order is COLLATE "C": by code point, whatever the database's
-- locale. A GIN index keeps at most 64 kB unsorted, since every search reads that part in full.

CREATE TABLE langgraph_server.assistants (
    assistant_id uuid PRIMARY KEY,
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    graph_id text COLLATE "C" NOT NULL CHECK (graph_id <> ''),
    name text COLLATE "C" NOT NULL,
    name_folded text COLLATE "C" NOT NULL, -- Python's str.casefold of the name, for search
    description text,
    config jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
    context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context) = 'object'),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    highest_version integer NOT NULL DEFAULT 1, -- set_latest lowers version, never this
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assistants_newest ON langgraph_server.assistants (owner, created_at, assistant_id);
CREATE INDEX assistants_metadata ON langgraph_server.assistants
    USING gin (metadata jsonb_path_ops) WITH (gin_pending_list_limit = 64);

CREATE TABLE langgraph_server.assistant_versions (
    assistant_id uuid NOT NULL REFERENCES langgraph_server.assistants ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    graph_id text COLLATE "C" NOT NULL CHECK (graph_id <> ''),
    name text COLLATE "C" NOT NULL,
    name_folded text COLLATE "C",
    description text,
    config jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(config) = 'object'),
    context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context) = 'object'),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (assistant_id, version)
);

CREATE TABLE langgraph_server.threads (
    thread_id uuid PRIMARY KEY,
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    status text COLLATE "C" NOT NULL DEFAULT 'idle'
        CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    "values" jsonb CHECK (jsonb_typeof("values") = 'object'), -- the head state's, for search
    checkpoint_id uuid, -- the head state's
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    state_updated_at timestamptz NOT NULL DEFAULT now(),
    state_seq bigint NOT NULL DEFAULT 0, -- the head state's place in the history
    -- The run queue's facts. No run of the thread that is queued (see runs.queued_at) comes before
    -- (next_run_at, next_run_id); both are null when none is.
    active_runs integer NOT NULL DEFAULT 0 CHECK (active_runs >= 0), -- pending and running
    running_run_id uuid,
    next_run_at timestamptz,
    next_run_id uuid,
    CHECK ((next_run_at IS NULL) = (next_run_id IS NULL))
);
CREATE INDEX threads_newest ON langgraph_server.threads (owner, created_at, thread_id);
CREATE INDEX threads_metadata ON langgraph_server.threads
    USING gin (metadata jsonb_path_ops) WITH (gin_pending_list_limit = 64);
CREATE INDEX threads_waiting ON langgraph_server.threads (next_run_at, next_run_id)
    WHERE next_run_id IS NOT NULL AND running_run_id IS NULL;
CREATE INDEX threads_waiting_of_owner
    ON langgraph_server.threads (owner, next_run_at, next_run_id)
    WHERE next_run_id IS NOT NULL AND running_run_id IS NULL;

CREATE TABLE langgraph_server.thread_states (
    thread_id uuid NOT NULL REFERENCES langgraph_server.threads ON DELETE CASCADE,
    checkpoint_id uuid NOT NULL,
    parent_checkpoint_id uuid,
    seq bigint NOT NULL, -- the order of add_state
    "values" jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof("values") = 'object'),
    next jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(next) = 'array'),
    tasks jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(tasks) = 'array'),
    interrupts jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(interrupts) = 'array'),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (thread_id, checkpoint_id),
    UNIQUE (thread_id, seq)
);

CREATE TABLE langgraph_server.runs (
    run_id uuid PRIMARY KEY,
    thread_id uuid NOT NULL REFERENCES langgraph_server.threads ON DELETE CASCADE,
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    assistant_id uuid NOT NULL, -- no reference: a run outlives its assistant
    status text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (
        status IN ('pending', 'running', 'error', 'success', 'timeout', 'interrupted')),
    kwargs jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kwargs) = 'object'),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    multitask_strategy text COLLATE "C" NOT NULL DEFAULT 'enqueue'
        CHECK (multitask_strategy IN ('reject', 'interrupt', 'rollback', 'enqueue')),
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    error text,
    due_at timestamptz NOT NULL DEFAULT now(),
    -- Equals due_at once the thread's next_run_at knows of this run. A run that is not yet due
    -- is not queued, nor is one whose times were changed by hand: the next claim queues it.
    queued_at timestamptz,
    lease_token uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((lease_token IS NULL) = (leased_until IS NULL)),
    CHECK (lease_token IS NULL OR status = 'running')
);
CREATE INDEX runs_of_thread ON langgraph_server.runs (thread_id, created_at, run_id);
CREATE INDEX runs_newest ON langgraph_server.runs (owner, created_at, run_id);
CREATE INDEX runs_metadata ON langgraph_server.runs
    USING gin (metadata jsonb_path_ops) WITH (gin_pending_list_limit = 64);
CREATE UNIQUE INDEX runs_one_running ON langgraph_server.runs (thread_id)
    WHERE status = 'running';
CREATE INDEX runs_pending ON langgraph_server.runs (thread_id, created_at, run_id)
    WHERE status = 'pending';
CREATE INDEX runs_unqueued ON langgraph_server.runs (due_at)
    WHERE status = 'pending' AND queued_at IS DISTINCT FROM due_at;
CREATE INDEX runs_leased ON langgraph_server.runs (leased_until)
    WHERE status = 'running';

CREATE TABLE langgraph_server.store_items (
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    namespace text[] COLLATE "C" NOT NULL CHECK (cardinality(namespace) > 0),
    key text COLLATE "C" NOT NULL CHECK (key <> ''),
    value jsonb NOT NULL CHECK (jsonb_typeof(value) = 'object'),
    ttl_minutes double precision CHECK (ttl_minutes > 0),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, namespace, key)
);
CREATE INDEX store_items_newest ON langgraph_server.store_items (owner, created_at, namespace, key);
CREATE INDEX store_items_expiring ON langgraph_server.store_items (expires_at)
    WHERE expires_at IS NOT NULL;

CREATE TABLE langgraph_server.crons (
    cron_id uuid PRIMARY KEY,
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    -- assistant_id before thread_id: their keys are locked in this order, and whoever deletes an
    -- assistant with its threads locks them so too.
    assistant_id uuid NOT NULL REFERENCES langgraph_server.assistants ON DELETE CASCADE,
    thread_id uuid REFERENCES langgraph_server.threads ON DELETE CASCADE,
    schedule text COLLATE "C" NOT NULL,
    timezone text COLLATE "C",
    payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    on_run_completed text COLLATE "C" NOT NULL DEFAULT 'delete'
        CHECK (on_run_completed IN ('delete', 'keep')),
    end_time timestamptz,
    enabled boolean NOT NULL DEFAULT true,
    next_run_date timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX crons_newest ON langgraph_server.crons (owner, created_at, cron_id);
CREATE INDEX crons_of_assistant ON langgraph_server.crons (assistant_id);
CREATE INDEX crons_of_thread ON langgraph_server.crons (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX crons_metadata ON langgraph_server.crons
    USING gin (metadata jsonb_path_ops) WITH (gin_pending_list_limit = 64);
CREATE INDEX crons_due ON langgraph_server.crons (next_run_date, cron_id)
    WHERE enabled AND next_run_date IS NOT NULL;

-- No policies: whoever owns the tables is not bound by them, and the API roles that Supabase grants
-- everything to see nothing.
ALTER TABLE langgraph_server.assistants ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.assistant_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.threads ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.thread_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.store_items ENABLE ROW LEVEL SECURITY;
ALTER TABLE langgraph_server.crons ENABLE ROW LEVEL SECURITY;
