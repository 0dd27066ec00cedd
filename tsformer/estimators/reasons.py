"""Anomalies as a frame, one a row: explained intervals enter, times and values in the user's units leave."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsformer.data.anomalies import Anomaly
from tsformer.data.courses import Courses
from tsformer.data.recordings import Recordings, check_free
from tsformer.data.rows import Floats
from tsformer.training.neighbours import Scale


def table_of(
    recordings: Recordings, found: Sequence[Sequence[Anomaly]], scale: Scale, courses: Courses, usual_scores: Floats
) -> pd.DataFrame:
    """Write the anomalies of each series in a frame, by series and time."""
    codes, anomalies = [code for code, some in enumerate(found) for _ in some], [one for some in found for one in some]
    rows = [_row(one, recordings, code, scale) for code, one in zip(codes, anomalies, strict=True)]
    scores = np.array([one.score for one in anomalies], float)
    similar = np.array([one.similar for one in anomalies], int)
    above = len(usual_scores) - np.searchsorted(usual_scores, scores, side="right")
    columns = {
        "start": _times(recordings, codes, [one.start for one in anomalies]),
        "end": _times(recordings, codes, [one.end - 1 for one in anomalies]),
        "channel": pd.Series([recordings.channels[one.channel] for one in anomalies], dtype=object),
        "score": scores,
        "rarity": above / len(usual_scores),
        "kind": pd.Series([one.kind for one in anomalies], dtype=object),
        **dict(zip(("value", "expected", "lower", "upper"), np.array(rows).reshape(-1, 4).T, strict=True)),
        "similar": pd.Series(courses.times).reindex(similar).array,
    }
    if any(id is not None for id in courses.ids):
        columns["similar_id"] = [courses.ids[courses.runs[place]] if place >= 0 else None for place in similar]
    table = pd.DataFrame(columns)
    if recordings.ids[0] is not None:
        check_free([recordings.columns.id_col], list(columns))
        table.insert(0, recordings.columns.id_col, pd.Series([recordings.ids[code] for code in codes], dtype=object))
    return table


def _row(one: Anomaly, recordings: Recordings, code: int, scale: Scale) -> list[float]:
    """What there is, what is expected and the band, where values stray most."""
    at, channel = one.at - one.zone.start, one.channel
    scaled = np.array([one.zone.expected[at, channel], *one.zone.band[:, at, channel]])
    expected = scaled * scale.unit[channel] + scale.center[channel]
    return [recordings.values[code][one.at, channel], *expected]


def _times(recordings: Recordings, codes: Sequence[int], places: Sequence[int]) -> pd.Index:
    times = [recordings.times(code)[[place]] for code, place in zip(codes, places, strict=True)]
    return recordings.times(0)[:0].append(times)
