"""The benchmark: each measurement is a process of its own, and contenders take turns.

`plan` lists what is measured, `turns` starts the processes, `worker` is the process.
`results` compares what the processes measured, `tables` prints it. `ours`, `classic`,
`keras_path` and `timm_script` are the contenders.
"""
