#!/usr/bin/perl
# A counter in the style of the nineties. It shows how often Perl was started to show the
# guestbook.

use strict;
use warnings;

my ($all, $minute) = (0, 0);
if (open my $hits, '<', '../../hits.txt') {
    while (<$hits>) {
        $all++;
        $minute++ if $_ > time - 60;
    }
}
print <<"END";
Content-Type: text/html; charset=utf-8

<html><head><title>Counter</title><meta http-equiv="refresh" content="1"></head>
<body bgcolor="#336666" text="#ffffff"><font face="Verdana, Arial, Helvetica, sans-serif" size="2">
Perl was started to show the entries<br>
<font size="5"><b>$minute</b></font> times in the last minute, <b>$all</b> times in all
</font></body></html>
END
