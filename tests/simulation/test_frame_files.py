import mdtraj
import numpy as np
import pytest

from uqcv.simulation.frame_files import COLUMNS, FRAMES_FILE, TRAJECTORY_FILE, FrameFiles


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(topology, frames, append=False, first=0):
    files = FrameFiles(topology, time_step=0.5, stride=10, append=append)
    for k, frame in enumerate(frames, start=first):
        files.write(10 * k, frame.positions, None, (1.0, -2.5, 300.0 + k, 0.0))
    files.close()


def test_frames_and_rows_are_read_back_also_if_gone_on_with(here, force_field, frames, topology_path):
    written(force_field.topology, frames[:3])
    written(force_field.topology, frames[3:5], append=True, first=3)
    trajectory = mdtraj.load(TRAJECTORY_FILE, top=str(topology_path))
    np.testing.assert_allclose(10 * trajectory.xyz, [f.positions for f in frames[:5]], atol=1e-5)
    head, *rows = [line.split(",") for line in (here / FRAMES_FILE).read_text().splitlines()]
    assert tuple(head) == COLUMNS
    assert [[float(x) for x in row] for row in rows] == [[10 * k, 5.0 * k, 1.0, -2.5, 300.0 + k, 0.0] for k in range(5)]


def test_without_a_frame_there_is_no_trajectory(here, force_field):
    written(force_field.topology, [])
    assert not (here / TRAJECTORY_FILE).exists() and (here / FRAMES_FILE).read_text().count("\n") == 1
