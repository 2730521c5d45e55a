"""What `vidcm.pipelines` hands out."""

import pytest

from vidcm import pipelines


def test_every_name_is_there_whether_it_is_of_diffusers_or_not():
    assert {getattr(pipelines, name).__name__ for name in pipelines.__all__} == set(pipelines.__all__)
    assert set(pipelines.OF_DIFFUSERS) < set(pipelines.__all__) <= set(dir(pipelines))


def test_a_name_that_nobody_has_is_told():
    with pytest.raises(AttributeError, match=r"'vidcm\.pipelines' has no attribute 'Pipeline'"):
        _ = pipelines.Pipeline
