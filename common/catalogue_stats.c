#include "catalogue_stats.h"

#include "catalogue_db.h"
#include "sql.h"

int
catalogue_statistic(struct catalogue *c, enum catalogue_statistic which,
    int (*each)(void *ctx, const struct catalogue_stat *s, struct err *e), void *ctx, struct err *e)
{
	static const char *const sql[] = {
	    [STAT_MONTHS] = sql_statistic_months,
	    [STAT_FORMATS] = sql_statistic_formats,
	    [STAT_RATES] = sql_statistic_rates,
	    [STAT_DURATIONS] = sql_statistic_durations,
	    [STAT_LOUDNESS] = sql_statistic_loudness,
	    [STAT_AGES] = sql_statistic_ages,
	    [STAT_VERDICTS] = sql_statistic_verdicts,
	};
	sqlite3_stmt *s = catalogue_stmt(c, sql[which], e);
	struct catalogue_stat stat;
	int rc;

	if (s == NULL)
		return -1;
	while ((rc = catalogue_step(c, s, e)) == 1) {
		stat = (struct catalogue_stat){
		    .label = (const char *)sqlite3_column_text(s, 0),
		    .count = sqlite3_column_int64(s, 1),
		    .value = sqlite3_column_double(s, 2),
		};
		if (each(ctx, &stat, e) == -1) {
			rc = -1;
			break;
		}
	}
	sqlite3_reset(s);
	return rc;
}
