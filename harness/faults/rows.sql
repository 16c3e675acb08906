-- What LangGraph's tables hold of a thread: each checkpoint with the blobs that it points to.

-- A checkpoint names a version of each channel; an `empty` blob stands for a channel without value.
-- statement: checkpoints
SELECT c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, c.metadata ->> 'source' AS source,
       (c.metadata ->> 'step')::int AS step, c.checkpoint -> 'channel_values' AS inline,
       coalesce(blobs.channels, '{}') AS channels, coalesce(blobs.types, '{}') AS types,
       coalesce(blobs.bytes, '{}') AS blobs
FROM checkpoints AS c
LEFT JOIN LATERAL (
    SELECT array_agg(b.channel) AS channels, array_agg(b.type) AS types, array_agg(b.blob) AS bytes
    FROM jsonb_each_text(c.checkpoint -> 'channel_versions') AS named (channel, version)
    JOIN checkpoint_blobs AS b
      ON (b.thread_id, b.checkpoint_ns, b.channel, b.version)
       = (c.thread_id, c.checkpoint_ns, named.channel, named.version)
    WHERE b.type <> 'empty'
) AS blobs ON true
WHERE c.thread_id = %(thread_id)s
ORDER BY c.checkpoint_ns, c.checkpoint_id
