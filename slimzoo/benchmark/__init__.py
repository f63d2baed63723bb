"""The benchmark: each measurement is a process of its own, and contenders take turns.

`plan` says what is measured, `turns` runs it, `worker` is the process, `results` and
`tables` are what comes out. `ours`, `classic`, `keras_path` and `timm_script` are the
contenders.
"""
