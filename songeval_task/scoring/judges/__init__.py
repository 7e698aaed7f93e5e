"""Judges: scorers of other projects' published weights, which hear the waveform themselves."""

JUDGES = {  # class of the weights -> function of the file that loads their scorer
    "AudioboxHead": "songeval_task.scoring.judges.audiobox:load_audiobox",
    "MuQEvalHead": "songeval_task.scoring.judges.muq_eval:MuQEvalScorer",
}
