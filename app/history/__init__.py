"""What was said and measured, kept: the database, exports, saved KV states.

Knows records and SQL. Knows no Qt, and no engine: what an answer is comes from
`runtime.generation`.
"""
