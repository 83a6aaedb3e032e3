"""What people judged, put to use: judging a result, what to judge next, the running verdict, files in and out."""
