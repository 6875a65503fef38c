"""The whole vehicle held up in real time, for clients outside this process and for people at a terminal."""
