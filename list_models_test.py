import json

from slimbase.testing import fails, run


def test_listing_networks():
    result = run("list_models.py", "mobilenet_v1*", "lenet")
    assert result.stderr == ""
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *("network", "lenet"),
        *("mobilenet_v1", "mobilenet_v1_025", "mobilenet_v1_050", "mobilenet_v1_075"),
    ]
    listed = json.loads(run("list_models.py", "--format=json").stdout)
    assert {"name", "parameters", "multiply_adds", "top1"} <= set(listed[0])
    assert "Did you mean mobilenet" in fails("list_models.py", "mobilnet*")
    assert "Did you mean json" in fails("list_models.py", "--format=jsn")
